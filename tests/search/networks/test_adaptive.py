"""``[training] adaptive``: batch size and rate are scaled up together."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import pytest

from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.session import open_session
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.network_space import baseline_candidates
from greenfront.spaces.techniques.batch_scaling import batch_scale, rate_factor
from greenfront.studies.analysis.machine.remarks import compression_remarks
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage

FACTS = StudyFacts(
    TaskFacts(
        "digits", (1, 8, 8), ("a", "b"), dict.fromkeys(("train", "validation"), 999), 0.5, "x"
    ),
    "cpu",
    mixed_precision=False,
    batch_seconds={"mlp": (8.0, 5.0, 4.8, 4.0)},
)


def file(adaptive: bool = True, **sections: dict[str, Any]) -> StudyFile:
    usual: dict[str, dict[str, Any]] = {
        "study": {"name": "adaptive"},
        "task": {"kind": "digits"},
        "space": {"architectures": ["mlp"], "references": False},
        "training": {"epochs": 2, "fine_tune_epochs": 1, "adaptive": adaptive},
        "objectives": {"repeats": 1, "folds": 1},
        "metering": {"block_seconds": 0.01},
        "budget": {"trials": 1},
    }
    return StudyFile.from_stored(usual | sections)


@pytest.mark.parametrize(
    ("seconds", "gain", "scale"),
    [
        ((), 0.1, 1),
        ((1.0,), 0.1, 1),
        ((8.0, 4.0, 2.0, 1.0), 0.1, 8),
        ((8.0, 5.0, 4.8, 4.0), 0.1, 2),  # what comes after a poor step is not reached
        ((8.0, 5.0, 4.8, 4.0), 0.02, 8),
        ((1.0, 0.95), 0.1, 1),
        ((1.0, 2.0, 0.1), 0.02, 1),
    ],
)
def test_batches_are_doubled_as_long_as_that_pays(
    seconds: tuple[float, ...], gain: float, scale: int
) -> None:
    assert batch_scale(seconds, gain) == scale


def test_rates_follow_by_the_rule_of_the_optimiser() -> None:
    assert rate_factor("sgd", 4) == 4
    assert rate_factor("adamw", 4) == 2
    assert rate_factor("adamw", 2) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(("grams", "scale"), [(50.0, 2), (800.0, 8)], ids=["clean", "dirty"])
def test_a_dirty_grid_takes_smaller_gains(grams: float, scale: int) -> None:
    told = file(carbon={"g_per_kwh": grams})
    plain, scaled = (
        NetworkProblem(each, FACTS, Instruments(()))
        for each in (file(False, carbon={"g_per_kwh": grams}), told)
    )
    (before,), (after,) = (baseline_candidates(each.options) for each in (plain, scaled))
    assert after.training.scaled == scale
    assert after.training.batch_size == scale * before.training.batch_size
    factor = rate_factor(after.training.optimizer, scale)
    assert after.training.learning_rate == pytest.approx(factor * before.training.learning_rate)
    assert f"batch and rate scaled ×{scale}" in after.describe()
    assert after.training_key != before.training_key
    assert Candidate.from_json(after.to_json()) == after
    assert any(f"batches are {scale} times as large" in r for r in compression_remarks(told, FACTS))


def test_what_is_not_scaled_is_what_it_was() -> None:
    facts = StudyFacts(FACTS.task, "cpu", mixed_precision=False, batch_seconds={"mlp": (1.0, 1.0)})
    problems = [NetworkProblem(file(each), facts, Instruments(())) for each in (False, True)]
    (one,), (other,) = (baseline_candidates(each.options) for each in problems)
    assert one.key == other.key
    assert "scaled" not in one.to_json()["training"]
    (remark,) = [r for r in compression_remarks(file(), facts) if "larger batches" in r]
    assert "gain too little" in remark


def test_it_is_part_of_what_a_study_is() -> None:
    assert file(True).identity("data") != file(False).identity("data")


def test_a_study_measures_it_once_and_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = Storage("sqlite:///greenfront.db")
    with contextlib.closing(storage):
        with open_session(file(), new_in=storage) as session:
            measured = session.problem.facts.batch_seconds
            assert all(second > 0 for second in measured["mlp"])
            assert len(measured["mlp"]) == 2  # of 64 and 128 eight fit into an epoch
            (row,) = session.search(storage).trials
        scale = file().batch_scales(session.problem.facts)["mlp"]
        assert row.candidate.training.scaled == scale
        with open_session(file(), new_in=storage) as session:
            assert session.problem.facts.batch_seconds == measured

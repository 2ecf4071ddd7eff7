"""Trials that go wrong in a real search: recorded, charged, and survived."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa

from greenfront.errors import MeterError, SearchAborted, StudyError, TrialFailed
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.metering.pinned import metered_machines
from greenfront.search.networks import exploration
from greenfront.search.optimize import SearchResult
from greenfront.search.session import open_session
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.tables import studies_table

TESTS = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return tmp_path


def study(**sections: dict[str, Any]) -> StudyFile:
    usual: dict[str, dict[str, Any]] = {
        "study": {"name": "faults"},
        "task": {"kind": "digits"},
        "space": {"architectures": ["mlp"], "references": False},
        "training": {"epochs": 1, "fine_tune_epochs": 1},
        "objectives": {"repeats": 1, "folds": 1},
        "metering": {"block_seconds": 0.01},
        "budget": {"trials": 6},
    }
    for section, keys in sections.items():
        usual[section] = usual.get(section, {}) | keys
    return StudyFile.from_stored(usual)


def search(file: StudyFile, storage: Storage) -> SearchResult:
    with open_session(file, new_in=storage) as session:
        return session.search(storage)


@pytest.fixture
def storage(here: Path) -> Iterator[Storage]:
    storage = Storage("sqlite:///greenfront.db")
    yield storage
    storage.close()


@pytest.fixture(scope="module")
def finished_trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of one trial, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    with contextlib.chdir(folder):
        storage = Storage("sqlite:///greenfront.db")
        search(study(budget={"trials": 1}), storage)
        storage.close()
    return folder


@pytest.fixture
def begun(here: Path, finished_trial: Path) -> Iterator[Storage]:
    """The same study, open."""
    shutil.copytree(finished_trial, here, dirs_exist_ok=True)
    storage = Storage("sqlite:///greenfront.db")
    yield storage
    storage.close()


def test_a_crash_costs_one_trial_and_its_energy_is_charged(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exploration, "JOB", "contracts.faulty_job:int8_crashes")
    # The script takes two trials; of the four that are drawn some are pruned at 8 bits, and crash.
    result = search(study(space={"bits": [32, 8]}, budget={"trials": 6}), storage)
    crashed = [
        row
        for row in result.trials
        if row.candidate.precision.bits == 8 and row.candidate.pruning.ratio > 0
    ]
    assert crashed
    assert len(crashed) < len(result.trials) == 6
    assert {row.state for row in crashed} == {"failed"}
    assert all("SIGSEGV" in (row.reason or "") for row in crashed)
    others = [row for row in result.trials if row not in crashed]
    assert {row.state for row in others} == {"complete"}
    by_trial = Ledger(storage, 1).by("trial")
    assert all(by_trial[str(row.number)].cpu_seconds > 0.1 for row in crashed)


def test_three_divergences_end_the_study_and_are_charged(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exploration, "JOB", "contracts.faulty_job:always_diverges")
    with pytest.raises(SearchAborted, match="diverged"):
        search(study(), storage)
    assert Ledger(storage, 1).by("state")["failed"].cpu_seconds > 0.3


def test_three_trials_past_their_time_end_the_study_and_are_charged(storage: Storage) -> None:
    with pytest.raises(SearchAborted, match="timed out"):
        search(study(limits={"trial_minutes": 0.001}), storage)
    assert Ledger(storage, 1).by("state")["failed"].kwh > 0


def test_no_memory_is_a_failure_too(storage: Storage) -> None:
    with pytest.raises((SearchAborted, TrialFailed), match="memory"):
        search(study(limits={"memory_gb": 0.05}), storage)


def test_a_candidate_over_a_hard_limit_is_stopped_before_its_training(storage: Storage) -> None:
    result = search(study(limits={"artefact_bytes": 100}, budget={"trials": 3}), storage)
    assert [row.state for row in result.trials] == ["stopped"] * 3
    assert all("artefact_bytes" in (row.reason or "") for row in result.trials)
    phases = Ledger(storage, 1).by("phase")
    assert "size" in phases
    assert "train" not in phases


def test_a_delivered_file_over_a_hard_limit_is_infeasible(storage: Storage) -> None:
    """Of a global ranking nobody knows the size before the training."""
    space = {"pruning": [0.5, 0.5], "pruning_scope": ["global"], "bits": [32]}
    limits = {"artefact_bytes": 3_000}
    result = search(study(space=space, limits=limits, budget={"trials": 2}), storage)
    over = [row for row in result.trials if row.state == "infeasible"]
    assert over
    assert all("artefact_bytes" in (row.reason or "") for row in over)
    assert {row.state for row in result.trials} <= {"infeasible", "stopped"}


def test_other_instruments_are_refused(begun: Storage) -> None:
    found = Study.open(begun, "faults")
    assert found.meters
    pinned = [{**found.meters[0], "kind": "measured", "source": "RAPL"}]
    with begun.writing() as connection:
        connection.execute(sa.update(studies_table).values(meters=pinned))
    with pytest.raises(MeterError, match=r"measured: RAPL.*modelled"):
        search(study(budget={"trials": 2}), begun)


def test_a_machine_unlike_the_first_is_refused_or_told(begun: Storage) -> None:
    found = Study.open(begun, "faults")
    assert found.meters
    pinned = [{**found.meters[0], "machine": "Abacus"}]
    with begun.writing() as connection:
        connection.execute(sa.update(studies_table).values(meters=pinned))
    with pytest.raises(MeterError, match="must be like that of the study, 'Abacus'"):
        search(study(budget={"trials": 2}), begun)
    search(study(budget={"trials": 2}, metering={"machines": "any"}), begun)
    again = Study.open(begun, "faults")
    assert again.meters is not None
    first, second = metered_machines(again.meters)
    assert first == "Abacus"
    assert second == describe_cpu().name


def test_other_data_under_the_same_name_are_refused(begun: Storage) -> None:
    with pytest.raises(StudyError, match="other settings"):
        search(study(budget={"trials": 1}, task={"validation_fraction": 0.3}), begun)


def test_a_raised_budget_is_remembered(begun: Storage) -> None:
    result = search(study(budget={"trials": 2}), begun)
    assert len(result.trials) == 2
    assert Study.open(begun, "faults").configuration["budget"]["trials"] == 2


def test_workers_share_a_study_and_its_lineage(storage: Storage) -> None:
    file = study(search={"workers": 2}, space={"temperature": [2.0, 4.0]})
    result = search(file, storage)
    assert [row.state for row in result.trials] == ["complete"] * 6
    assert len({row.key for row in result.trials}) == 6

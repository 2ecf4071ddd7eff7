"""Forecasts of what a search costs, and what came."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.planning.forecasting import (
    Tried,
    forecast_of,
    forecast_of_history,
    tried_epoch,
    tried_first,
)
from greenfront.search.planning.plan import plan_study
from greenfront.search.session import open_session
from greenfront.spaces.network_space import baseline_candidates
from greenfront.studies.analysis.search_cost.forecast import forecast_json, forecast_lines
from greenfront.studies.analysis.view import view
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.forecast import Expected, Forecast
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage

FACTS = StudyFacts(
    TaskFacts(
        "digits", (1, 8, 8), ("a", "b"), dict.fromkeys(("train", "validation"), 999), 0.5, "x"
    ),
    "cpu",
    mixed_precision=False,
)


def file(name: str = "foreseen", **sections: dict[str, Any]) -> StudyFile:
    usual: dict[str, dict[str, Any]] = {
        "study": {"name": name},
        "task": {"kind": "digits"},
        "space": {"architectures": ["mlp"], "references": False},
        "training": {"epochs": 4, "fine_tune_epochs": 1},
        "objectives": {"repeats": 2},
        "metering": {"block_seconds": 0.01},
        "budget": {"trials": 8},
    }
    for section, keys in sections.items():
        usual[section] = usual.get(section, {}) | keys
    return StudyFile.from_stored(usual)


def problem(**sections: dict[str, Any]) -> NetworkProblem:
    return NetworkProblem(file(**sections), FACTS, Instruments(()))


def tried(searched: NetworkProblem, epoch_kwh: float | None = 1.0) -> list[Tried]:
    (baseline,) = baseline_candidates(searched.options)
    watts = 0.0 if epoch_kwh is None else JOULES_PER_KWH
    return [Tried(baseline, epoch_kwh, 60.0, 0.0, watts)]


def test_the_interval_holds_what_whole_trainings_come_to() -> None:
    """One candidate alone, the baseline: an epoch is a kWh."""
    found = forecast_of(problem(budget={"trials": 1}), tried(problem()), prepaid_kwh=0.5)
    assert found.kwh is not None
    assert found.kwh.low < 0.5 + 4 < found.kwh.high
    assert found.kwh.low < found.kwh.likely < found.kwh.high
    # Half as dear and as short as what others have found allows, an epoch of four; or the whole of
    # it, dearer by half; and what trials cost besides.
    assert found.kwh.low == pytest.approx(0.5 + 0.5 * 1 + 0.05)
    assert found.kwh.high == pytest.approx(2 * 0.5 + 1.5 * 4 + 1.5)
    assert found.minutes.low == pytest.approx(0.5 + 0.05 / 60)
    assert found.basis == "from an epoch of 1 network"


def test_more_trials_cost_more_and_workers_share_the_time() -> None:
    one = forecast_of(problem(budget={"trials": 6}), tried(problem()), 0.0)
    more = forecast_of(problem(budget={"trials": 24}), tried(problem()), 0.0)
    assert one.kwh is not None
    assert more.kwh is not None
    assert more.kwh.high > 3 * one.kwh.high
    two = forecast_of(problem(budget={"trials": 6}, search={"workers": 2}), tried(problem()), 0.0)
    assert two.minutes.low == pytest.approx(one.minutes.low / 2)
    assert two.minutes.high == one.minutes.high  # on one core they are no help to each other
    assert two.kwh == one.kwh


def test_references_that_were_not_tried_widen_it() -> None:
    without = forecast_of(problem(), tried(problem()), 0.0)
    beside = problem(space={"references": True})
    shares = len(beside.reference_candidates())
    found = forecast_of(problem(space={"references": True}), tried(beside), 0.0)
    assert shares
    assert found.kwh is not None
    assert without.kwh is not None
    assert found.kwh.high / found.kwh.low > without.kwh.high / without.kwh.low


def test_energy_that_no_instrument_tells_is_not_foreseen() -> None:
    found = forecast_of(problem(), tried(problem(), None), 0.0)
    assert found.kwh is None
    assert found.minutes.high > 0


def test_a_reading_tells_an_epoch_and_the_power() -> None:
    searched = problem()
    (baseline,) = baseline_candidates(searched.options)
    reading = Reading(7.2, 7.0, 8.0, "measured", "counter", 0.9, 1.2)
    found = tried_epoch(baseline, reading, 3.0)
    assert found.epoch_kwh == pytest.approx(2e-6)
    assert found.epoch_seconds == 1.2
    assert found.measuring_kwh == pytest.approx(8.0 * 3.0 / JOULES_PER_KWH)


class Answers:
    """An evaluator that counts the epochs that it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def call(self, name: str, *_: object, **__: object) -> Reading:
        assert name == "epoch"
        self.asked += 1
        return Reading(1.0, 1.0, 1.0, "measured", "counter", 1.0, 1.0)


@pytest.mark.parametrize(("trials", "asked"), [(24, 0), (25, 1)])
def test_a_forecast_takes_one_epoch_in_a_hundred_at_most(trials: int, asked: int) -> None:
    evaluator = Answers()
    searched = problem(budget={"trials": trials})
    found = tried_first(searched, evaluator, None)  # type: ignore[arg-type]
    assert len(found) == evaluator.asked == asked


@pytest.mark.parametrize(
    ("came", "words"), [(0.5, "less than"), (1.0, "as foreseen"), (9.0, "more than")]
)
def test_ends_belong_to_an_interval(came: float, words: str) -> None:
    expected = Expected(2.0, 1.0, 3.0)
    assert expected.holds(came) == (words == "as foreseen")
    assert expected.times(2.0) == Expected(4.0, 2.0, 6.0)


Small = Callable[[], StudyFile]


def with_cnn() -> StudyFile:
    # Where int8 kernels seem to pay, as on a busy machine, one trial is infeasible: its file grows.
    sections = {"space": {"architectures": ["mlp", "cnn"]}, "budget": {"trials": 10}}
    return file("cnn", training={"epochs": 2}, **sections)


def with_references() -> StudyFile:
    return file("references", space={"references": True}, search={"sampler": "random"})


def long_trainings() -> StudyFile:
    return file("long", training={"epochs": [10, 40]}, budget={"trials": 9})


def test_small_studies_end_within_their_plans_and_teach_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = Storage("sqlite:///greenfront.db")
    with contextlib.closing(storage):
        for planned in (with_cnn(), with_references(), long_trainings()):
            plan = plan_study(planned)
            assert plan.forecast is not None
            assert plan.forecast.kwh is not None
            with open_session(planned) as session:
                came = session.search(storage).spent
            assert plan.forecast.kwh.holds(came.kwh), (plan.forecast, came.kwh)
        again = file("again", search={"sampler": "random"})
        with open_session(again, new_in=storage) as session:
            told = session.forecast
            assert told is not None
            assert told.basis == "from the trials of cnn, references, long on the same data"
            session.search(storage)
        found = view(storage, "again")
        assert found.facts.forecast == told
        assert told.kwh is not None
        assert told.kwh.holds(found.spent.kwh)
        foreseen, came_to = forecast_lines(found)
        assert "modelled" in foreseen
        assert "as foreseen" in came_to
        shown = forecast_json(found)
        assert shown is not None
        assert shown["came_kwh"] == found.spent.kwh
        # What came after the search is not what it was expected to cost.
        later = replace(found, spent_by_phase={**found.spent_by_phase, "tune": found.spent})
        assert "with what tune took" in forecast_lines(later)[1]
        told_later = forecast_json(later)
        assert told_later is not None
        assert (told_later["came_kwh"], told_later["came_minutes"]) == (None, None)
        # A study of before has none, and one that is half done is told so far.
        facts = replace(found.facts, forecast=None)
        assert forecast_lines(replace(found, facts=facts)) == []
        longer = replace(found.facts, forecast=replace(told, trials=99))
        assert forecast_lines(replace(found, facts=longer))[1].startswith("So far, 8 of 99 trials")


def test_other_data_tell_nothing(tmp_path: Path) -> None:
    storage = Storage(f"sqlite:///{tmp_path}/empty.db")
    with contextlib.closing(storage):
        assert forecast_of_history(problem(), storage) is None


def test_a_forecast_survives_with_the_facts_of_its_study() -> None:
    from greenfront.objectives.codec import from_json, to_json

    told = Forecast(8, None, Expected(2.0, 1.0, 3.0), "from an epoch of 1 network")
    facts = replace(FACTS, forecast=told)
    assert from_json(StudyFacts, to_json(facts)) == facts

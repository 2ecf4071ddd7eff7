"""Trainings that cannot pay any more are stopped between their epochs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from contracts.contexts import Scripted
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.learning_curve import LearningCurve
from greenfront.objectives.metrics import Metric
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.search.archive import Archive
from greenfront.search.session import open_session
from greenfront.search.stopping.hopeless import Hopeless, Paces
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.training import Training
from greenfront.studies.analysis.search_cost.early_stops import early_stops_lines
from greenfront.studies.analysis.view import view
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

CARBON = CarbonModel(Intensity(1000.0, "nowhere", "the test"))
HALF = LearningCurve((0.2, 0.2), 4)
"""At half of its epochs it lacks .8: with a pace of 1, the best that can come of it is .6."""


def reading(kwh: float) -> Reading:
    joules = kwh * JOULES_PER_KWH
    return Reading(joules, joules, joules, "measured", "a counter", 1.0, 1.0)


class Front(Scripted):
    """Of one finished trial; remembers which best cases it was asked for."""

    def __init__(self, score: float, kwh: float) -> None:
        super().__init__()
        self.best, self.asked = (score, kwh), list[tuple[float, ...]]()

    def paces(self) -> Sequence[float]:
        return [1.0] * 9

    def dominated(self, optimistic: Sequence[float]) -> str | None:
        self.asked.append(tuple(optimistic))
        score, kwh, _ = optimistic
        worse = self.best[0] >= score and self.best[1] <= kwh
        return "dominated" if worse else None


def judged(context: Front, training: str = "t", metric: str = "accuracy") -> str | None:
    hopeless = Hopeless(Metric(metric, 0.1), CARBON, frozenset({"baseline"}))  # type: ignore[arg-type]
    return hopeless.verdict(training, HALF, 2.0, lambda: reading(1.0), context)


def test_one_that_a_finished_trial_beats_in_its_best_case_is_stopped() -> None:
    context = Front(score=0.7, kwh=2.5)
    assert judged(context) == "dominated"
    # The score that the curves leave it; what predictions cost at least, and what it has spent.
    assert context.asked[-1] == pytest.approx((0.6, 3.0, 3.0))


def test_one_that_may_still_be_more_accurate_or_cheaper_goes_on() -> None:
    accurate = Front(score=0.5, kwh=0.1)
    assert judged(accurate) is None
    assert len(accurate.asked) == 1  # what it has spent was not even read
    assert judged(Front(score=0.9, kwh=3.5)) is None


def test_errors_are_bounded_from_below() -> None:
    context = Front(score=0.0, kwh=0.0)
    judged(context, metric="rmse")
    assert context.asked[0][0] == pytest.approx(0.4)


def test_what_others_are_measured_by_is_never_stopped() -> None:
    assert judged(Front(score=0.9, kwh=0.0), training="baseline") is None


def trained(rate: float, bits: int = 32) -> Candidate:
    return Candidate(
        ArchitectureChoice("mlp", (("width", 8),)),
        replace(Training(), learning_rate=rate, epochs=4),
        precision=Precision(bits),
    )


@pytest.fixture
def study() -> Iterator[Study]:
    storage = Storage.temporary()
    yield Study.create(
        storage,
        "curves",
        directions=["maximize", "minimize"],
        identity="i",
        configuration={},
        meters=None,
        facts={},
    )
    storage.close()


def finish(study: Study, number: int, candidate: Candidate, score: float, detail: Any) -> None:
    run = study.runs.begin()
    study.trials.claim(run.run_id, number, candidate.key, candidate.to_json(), None)
    study.trials.finish(run.run_id, number, "complete", values=(score, 1.0), detail=detail)


class Nothing:
    """A problem of which an archive needs to know the objectives alone."""

    def __init__(self) -> None:
        from greenfront.search.problem import Objective

        self.objectives = (Objective("score", maximise=True), Objective("kwh"))
        self.maximised = [True, False]


def test_each_training_has_one_pace_that_of_the_best_that_came_of_it(study: Study) -> None:
    archive = Archive(Nothing(), study.trials)  # type: ignore[arg-type]
    paces = Paces(study.curves, archive, ideal=1.0)
    assert paces.all() == []
    curve = {"curve": [0.2, 0.2, 0.6, 0.6]}
    finish(study, 0, trained(0.1), 0.6, curve)
    finish(study, 1, trained(0.1, bits=8), 0.5, curve)
    finish(study, 2, trained(0.2), 0.9, {"curve": []})  # of an older version
    archive.refresh()
    assert paces.all() == pytest.approx([0.4 / 0.4])
    finish(study, 3, trained(0.2, bits=8), 0.8, {"curve": [0.0, 0.0, 0.0, 0.8]})
    archive.refresh()
    assert sorted(paces.all()) == pytest.approx([0.2 / 0.75, 1.0])
    assert Paces(study.curves, archive, ideal=None).all() == ()


def file(**search: Any) -> StudyFile:
    return StudyFile.from_stored(
        {
            "study": {"name": "hopeless", "seed": 3},
            "task": {"kind": "digits"},
            "space": {
                "architectures": ["mlp"],
                "references": False,
                "bits": [32],
                "pruning": 0.0,
                "temperature": None,
            },
            # Half of these rates are far too low to learn anything; what trainings cost is all
            # that counts, and some are several times as long as others.
            "training": {
                "epochs": [2, 17],
                "learning_rate": [1e-6, 1e-2],
                "optimizer": "adamw",
                "batch_size": 128,
            },
            "objectives": {"repeats": 1, "folds": 1, "predictions": 0},
            "metering": {"block_seconds": 0.01},
            "search": {"sampler": "random", "stop_below": 0.0} | search,
            "budget": {"trials": 16},
        }
    )


def test_a_search_stops_them_charges_them_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = Storage("sqlite:///greenfront.db")
    with contextlib.closing(storage), open_session(file()) as session:
        result = session.search(storage)
        study = Study.open(storage, "hopeless")
        stopped = [row for row in result.trials if "after epoch" in (row.reason or "")]
        assert stopped
        assert {row.state for row in stopped} == {"stopped"}
        best_case = re.compile(
            r"even its best case \(accuracy [\d.]+%, [\d.]+ \w?Wh, [\d.]+ \w?g CO₂\) is dominated"
        )
        assert all(best_case.search(row.reason or "") for row in stopped)
        assert not {row.key for row in stopped} & set(
            session.problem.file.baseline_keys(session.problem.facts)
        )
        assert len([row for row in result.trials if row.state == "complete"]) >= 9
        (line,) = early_stops_lines(view(storage, "hopeless"))
        assert all(f" {row.number}" in line for row in stopped)
        spent = study.ledger.by("trial")
        assert all(spent[str(row.number)].kwh > 0 for row in stopped)
        told = {trial.number: trial.state for trial in result.study.trials}
        pruned = optuna.trial.TrialState.PRUNED
        assert {told[row.number] for row in stopped} == {pruned}


def test_whether_to_stop_them_changes_no_identity() -> None:
    assert file(stop_hopeless=False).identity("data") == file().identity("data")

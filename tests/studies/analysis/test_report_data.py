"""What only a report looks up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from contracts.reports import VIEWS
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Decisions
from greenfront.objectives.pipeline.answers import ANSWERS, save_answers
from greenfront.objectives.resampling import packed
from greenfront.objectives.scores import Scoring
from greenfront.studies.analysis.findings.classes import confusion_of
from greenfront.studies.analysis.findings.families import families
from greenfront.studies.analysis.findings.importance import knob_importance
from greenfront.studies.analysis.payback.operation import a_year
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.scores.interval import COVERED, score_interval
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.config.sections import OperationSection

VIEW = VIEWS["usual"]
ROW = VIEW.front.rows[0]


def deciding(decisions: Decisions | None, artefact: str = "gone/model.onnx") -> ScoredTrial:
    outcome = replace(ROW.outcome, decisions=decisions, artefact=artefact)
    return replace(ROW, outcome=outcome)


def test_a_year_is_the_lifetimes_share() -> None:
    carbon = CarbonModel(Intensity(200.0, "here", "stated"), pue=1.5)
    life = OperationSection(years=4.0, euro_per_kwh=0.25)
    year = a_year(ROW.outcome, Scoring(8e6, carbon), life)
    kwh = ROW.outcome.answer.kwh
    assert kwh is not None
    assert year.predictions == 2e6
    assert year.kwh == pytest.approx(2e6 * kwh)
    assert year.co2_kg == pytest.approx(2e6 * kwh * 1.5 * 0.2)
    assert year.euro == pytest.approx(2e6 * kwh * 1.5 * 0.25)
    assert year.low_kwh == pytest.approx(0.6 * 2e6 * kwh)
    assert year.high_kwh == pytest.approx(1.7 * 2e6 * kwh)


def test_a_year_without_a_reading_is_unknown() -> None:
    blind = replace(ROW.outcome.inference, joules=None, low_joules=None, high_joules=None)
    year = a_year(replace(ROW.outcome, inference=blind), VIEW.scoring, OperationSection())
    assert (year.kwh, year.co2_kg, year.euro) == (None, None, None)


def test_an_interval_holds_the_middle_of_the_resamples() -> None:
    scores = np.linspace(0.9, 1.0, 201, dtype=np.float32)
    judged = replace(ROW.outcome, resampled=packed(scores), decisions=Decisions((3, 4)))
    found = score_interval(judged, Metric("f1_macro", 0.3))
    assert found is not None
    assert found.low == pytest.approx(0.9025)
    assert found.high == pytest.approx(0.9975)
    assert score_interval(replace(ROW.outcome, resampled=None), Metric("f1_macro", 0.3)) is None


@pytest.mark.parametrize(("right", "examples"), [(359, 359), (0, 20), (161, 200), (1, 1)])
def test_an_accuracys_interval_is_wilsons(right: int, examples: int) -> None:
    decisions = Decisions((right, examples - right))
    judged = replace(ROW.outcome, score=right / examples, decisions=decisions)
    found = score_interval(judged, Metric("accuracy", 0.1))
    wanted = binomtest(right, examples).proportion_ci(COVERED, method="wilson")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-5)


def test_resamples_without_an_error_tell_nothing_of_the_next_example() -> None:
    faultless = packed(np.ones(200, dtype=np.float32))
    assert (
        score_interval(replace(ROW.outcome, resampled=faultless), Metric("f1_macro", 0.3)) is None
    )


def two_classes(cache: str) -> StudyView:
    task = replace(VIEW.facts.task, class_names=("no", "yes"))
    study = VIEW.file.study.model_copy(update={"cache": cache})
    file = VIEW.file.model_copy(update={"study": study})
    return replace(VIEW, facts=replace(VIEW.facts, task=task), file=file)


def test_scores_of_classes_follow_from_the_matrix(tmp_path: Path) -> None:
    view = two_classes(str(tmp_path))
    found = confusion_of(view, deciding(Decisions((8, 2), None, ((7, 0), (1, 2)))))
    assert found is not None
    no, yes = found.classes
    assert (found.examples, no.examples, yes.examples) == (10, 7, 3)
    assert (no.precision, no.recall) == (7 / 8, 1.0)
    assert (yes.precision, yes.recall) == (1.0, 2 / 3)
    assert yes.f1 == pytest.approx(0.8)


def test_what_is_never_decided_for_has_no_precision(tmp_path: Path) -> None:
    view = two_classes(str(tmp_path))
    found = confusion_of(view, deciding(Decisions((10, 0), None, ((7, 0), (3, 0)))))
    assert found is not None
    assert (found.classes[1].precision, found.classes[1].f1) == (None, None)


def test_without_a_matrix_the_kept_answers_are_read(tmp_path: Path) -> None:
    view, row = two_classes(str(tmp_path)), deciding(None, "ab/model.onnx")
    assert confusion_of(view, row) is None
    folder = tmp_path / "lineage" / "ab"
    folder.mkdir(parents=True)
    answers = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    save_answers(folder / ANSWERS, answers, np.array([0, 1, 1]))
    found = confusion_of(view, row)
    assert found is not None
    assert found.matrix == ((1, 0), (1, 1))


def test_families_stand_in_the_order_of_their_greenest() -> None:
    records = families(VIEW)
    assert sum(record.trials for record in records) == len(VIEW.complete)
    eligible = [record.greenest for record in records if record.greenest]
    scores = [row.green_score for row in eligible]
    assert scores == sorted(scores, reverse=True)
    assert [record.greenest is None for record in records] == sorted(
        record.greenest is None for record in records
    )


def test_a_forest_finds_the_knob_that_decides() -> None:
    rows = tuple(
        replace(row, score=0.5 + row.candidate.pruning.ratio / 2, energy_kwh=1.0)
        for row in VIEW.complete
    )
    found = knob_importance(replace(VIEW, complete=rows))
    assert found is not None
    (target,) = found.targets  # of an energy that never varies nothing can be told
    assert target.name == "score"
    assert next(iter(target.shares)) in ("pruning.ratio", "architecture.shape.depth")
    assert sum(target.shares.values()) == pytest.approx(1)
    assert target.explained > 0.5


def test_of_few_trials_nothing_is_told() -> None:
    assert knob_importance(replace(VIEW, complete=VIEW.complete[:5])) is None

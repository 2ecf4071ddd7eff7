"""What is said of a study's metric, of thresholds, and of classes that are never decided for."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from contracts.reports import VIEWS
from greenfront.cli.studies_text import front_table
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Decisions
from greenfront.studies.analysis.findings.decisions import decision, has_thresholds, never_decides
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.metric_words import difference, score
from greenfront.studies.report.page import render

CONFUSION = ((80, 10), (2, 8))


def two_classes(decisions: Decisions | None, name: str = "roc_auc") -> StudyView:
    """The usual study, as if it had looked for a rare class."""
    view = VIEWS["usual"]
    metric = Metric(name, 0.5)  # type: ignore[arg-type]
    task = replace(view.facts.task, class_names=("fine", "<fraud>"))
    rows = [
        replace(row, outcome=replace(row.outcome, decisions=decisions)) for row in view.front.rows
    ]
    return replace(
        view,
        facts=replace(view.facts, task=task),
        front=replace(view.front, metric=metric, rows=tuple(rows)),
        baseline=None,
    )


def test_a_threshold_is_said_with_what_comes_of_it() -> None:
    view = two_classes(Decisions((82, 18), 0.0712, CONFUSION))
    best = view.front.rows[0]
    assert decision(view, best) == (
        f"Trial {best.trial} decides for '<fraud>' from a probability of 0.0712 on (tuned on "
        "validation for balanced accuracy): it finds 8 of 10 and is right in 8 of the 18 times "
        "that it says so."
    )
    assert has_thresholds(view)
    page = render(ReportData(view))
    assert "decides for &#x27;&lt;fraud&gt;&#x27; from a probability of 0.0712 on" in page
    assert "Threshold <small>probability</small>" in page


def test_a_threshold_that_the_user_stated_is_not_called_tuned() -> None:
    view = two_classes(Decisions((82, 18), 0.25))
    objectives = view.file.objectives.model_copy(update={"threshold": 0.25})
    stated = replace(view, file=view.file.model_copy(update={"objectives": objectives}))
    told = decision(stated, view.front.rows[0])
    assert told is not None
    assert told.endswith("from a probability of 0.250 on (as stated).")


@pytest.mark.parametrize("decisions", [None, Decisions((90, 10))])
def test_without_thresholds_nothing_is_said(decisions: Decisions | None) -> None:
    view = two_classes(decisions)
    assert decision(view, view.front.rows[0]) is None
    assert not has_thresholds(view)
    assert "Threshold <small>" not in render(ReportData(view))


def test_classes_that_are_never_decided_for_are_named() -> None:
    view = two_classes(Decisions((100, 0), None, ((90, 0), (10, 0))))
    assert never_decides(view, view.front.rows[0]) == "never decides for '<fraud>'"
    assert "never decides for &#x27;&lt;fraud&gt;&#x27;" in render(ReportData(view))
    assert front_table(view) is not None
    usual = VIEWS["usual"]
    many = replace(
        usual.front.rows[0],
        outcome=replace(usual.front.rows[0].outcome, decisions=Decisions((9,) + (0,) * 9)),
    )
    assert never_decides(usual, many) == ("never decides for '1', '2', '3', '4', '5' and 4 more")
    assert never_decides(usual, usual.front.rows[0]) is None


def test_a_baseline_that_has_learnt_nothing_is_told_so() -> None:
    view = two_classes(Decisions((100, 0), None, ((90, 0), (10, 0))), "accuracy")
    lost = replace(view.front.rows[0], rank=0, score=0.4, objection="no better than a constant")
    screen = Console(width=200, file=io.StringIO(), highlight=False)
    screen.print(front_table(replace(view, baseline=lost)), crop=False)
    assert isinstance(screen.file, io.StringIO)
    below = " ".join(screen.file.getvalue().split(" base ")[1].split())
    assert "never decides for '<fraud>'; no better than a constant" in below


@pytest.mark.parametrize(
    ("name", "pair", "told"),
    [
        ("accuracy", (0.95, 0.94), "+1 points of accuracy against"),
        ("accuracy", (0.94, 0.95), "−1 points of accuracy against"),
        ("accuracy", (0.94, 0.94), "as accurate as"),
        ("f1_macro", (0.95, 0.94), "+1 points of macro F1 against"),
        ("f1_macro", (0.95, 0.95), "the same macro F1 as"),
        ("roc_auc", (0.95, 0.94), "ROC AUC +0.01 (better) against"),
        ("r2", (0.4, 0.4), "the same R² as"),
        ("rmse", (12.0, 10.0), "RMSE +2 in units of 'dose' (worse) against"),
        ("rmse", (8.0, 10.0), "RMSE −2 in units of 'dose' (better) against"),
    ],
)
def test_differences_say_which_way_is_better(name, pair, told) -> None:
    unit = "in units of 'dose'" if name == "rmse" else ""
    assert difference(Metric(name, 20.0, unit), *pair) == told


def test_scores_have_three_digits() -> None:
    assert score(Metric("accuracy", 0.1), 0.98765) == "98.8%"
    assert score(Metric("roc_auc", 0.5), 0.98765) == "0.988"
    assert score(Metric("r2", 0.0), -0.25) == "−0.250"
    assert score(Metric("rmse", 9.0), 1234.5) == "1230"

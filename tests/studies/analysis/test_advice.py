"""What is said beside a front: which model to take, and how sure its score is."""

from __future__ import annotations

from dataclasses import replace

from contracts.reports import VIEWS
from greenfront.objectives.outcome import Decisions
from greenfront.studies.analysis.advice import advice
from greenfront.studies.analysis.view import StudyView

VIEW = VIEWS["usual"]


def always_right() -> StudyView:
    """The first member of the front gets all of 359 examples right; nothing is known of others."""
    first, *others = VIEW.front.rows
    counts = Decisions((36,) * 9 + (35,))
    perfect = replace(first, score=1.0, outcome=replace(first.outcome, score=1.0, decisions=counts))
    return replace(VIEW, front=replace(VIEW.front, rows=(perfect, *others)))


def test_no_reader_takes_all_right_of_few_examples_for_a_certainty() -> None:
    told = " ".join(advice(always_right()))
    first = VIEW.front.rows[0].trial
    assert (
        f"Accuracy on other examples than these 359 (95% intervals): trial {first} 98.9% to 100%."
    ) in told
    assert "greenfront export looks at the test split" in told


def test_what_has_no_interval_is_not_told() -> None:
    assert "other examples" not in " ".join(advice(VIEW))

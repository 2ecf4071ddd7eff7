"""What is said beside a front: which model to take, and how sure its score is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from contracts.reports import VIEWS
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Decisions
from greenfront.objectives.resampling import DRAWS, packed
from greenfront.studies.analysis.choosing.advice import advice
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.ranking.optimism import selection_optimism
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


def test_the_baseline_is_not_said_to_gain_on_itself() -> None:
    view = VIEWS["one trial"]
    assert view.baseline is not None
    alone = replace(view.baseline, beats_baseline=0.0)
    rows = (replace(view.front.rows[0], beats_baseline=0.0),)
    told = " ".join(advice(replace(view, baseline=alone, front=replace(view.front, rows=rows))))
    assert "the untouched baseline itself" in told
    assert "gains on the untouched baseline" not in told


def judged(trial: int, scores: NDArray[np.float32]) -> ScoredTrial:
    row, mean = VIEW.complete[trial], float(scores.mean())
    return replace(row, score=mean, outcome=replace(row.outcome, resampled=packed(scores)))


def test_the_best_of_equals_is_flattered_by_its_luck() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.02, (9, DRAWS)).astype(np.float32)
    rows = [judged(trial, np.float32(0.8) + each) for trial, each in enumerate(noise)]
    found = selection_optimism(rows, VIEW.metric)
    # The expected maximum of nine normal deviates is 1.485 deviations.
    assert found == pytest.approx(1.485 * 0.02, rel=0.1)
    errors = selection_optimism(rows, Metric("rmse", 1.0))
    assert errors == pytest.approx(found, rel=0.1)
    # One that is clearly better owes nothing to luck.
    clear = judged(9, np.full(DRAWS, 0.95, dtype=np.float32))
    assert selection_optimism([*rows, clear], VIEW.metric) == pytest.approx(0, abs=1e-6)
    assert selection_optimism([clear], VIEW.metric) is None


def test_what_has_no_interval_is_not_told() -> None:
    assert "other examples" not in " ".join(advice(VIEW))

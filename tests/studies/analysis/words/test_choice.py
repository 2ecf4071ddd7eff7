"""Which model to take: the knee, the names, and what is said of each beside the baseline."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.scores import Tolerance
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.studies.analysis.ranking.front import Front, ScoredTrial, rank
from greenfront.studies.analysis.ranking.knee import knee_of
from greenfront.studies.analysis.words.choice import (
    allowed,
    beats,
    choices,
    comparison,
    prediction_sentence,
)
from greenfront.studies.store.trials import NetworkTrial, Trial

METRIC = Metric("accuracy", 0.1)

POINT = Tolerance(max_drop=0.01)


def test_the_knee_bulges_out_furthest_from_the_line_between_the_extremes() -> None:
    # In decades the line rises by .1 a decade; the points lie .15, .30 and .05 above it.
    scores, costs = [0.5, 0.75, 1.0, 0.85, 0.9], [1.0, 10.0, 1e4, 100.0, 1e4 / 3]
    line = [0.5 + 0.5 * math.log10(cost) / 4 for cost in costs]
    above = [score - on_line for score, on_line in zip(scores, line, strict=True)]
    assert knee_of(scores, costs) == int(np.argmax(above)) == 1


def test_a_straight_front_and_a_short_one_have_no_knee() -> None:
    assert knee_of([0.5, 0.6, 0.7], [1.0, 10.0, 100.0]) is None
    assert knee_of([0.5, 0.55, 0.7], [1.0, 10.0, 100.0]) is None  # bent inwards
    assert knee_of([0.5, 0.9], [1.0, 2.0]) is None
    assert knee_of([0.5, 0.6, 0.9], [0.0, 1.0, 2.0]) is None  # free: no logarithm
    assert knee_of([0.9, 0.9, 0.9], [1.0, 2.0, 3.0]) is None
    assert knee_of([], []) is None


@given(
    points=st.lists(st.tuples(st.floats(0, 1), st.floats(1e-6, 1e6)), min_size=3, max_size=9),
    unit=st.floats(1e-3, 1e3),
)
def test_the_knee_does_not_depend_on_the_unit_of_energy(
    points: list[tuple[float, float]], unit: float
) -> None:
    scores, costs = zip(*points, strict=True)
    found, scaled = knee_of(scores, costs), knee_of(scores, [unit * cost for cost in costs])
    if found is None or scaled is None:
        # On the line but for rounding.
        assert found == scaled or np.ptp(scores) < 1e-6 or np.ptp(np.log(costs)) < 1e-6
    else:
        assert scores[found] == pytest.approx(scores[scaled], abs=1e-6)


@pytest.fixture
def front(make_outcome: Callable[..., Outcome]) -> Callable[..., Front]:
    def make(*vectors: tuple[float, float]) -> Front:
        rows: list[NetworkTrial] = []
        for number, (accuracy, energy) in enumerate(vectors):
            tried = Candidate(ArchitectureChoice("mlp", (("depth", number),)))
            outcome = make_outcome(accuracy, 1e-3, energy)
            values = (accuracy, energy, 0.1 * energy)
            rows.append(
                Trial(number, number, tried.key, "complete", tried, values, outcome, None, 0.0, 1.0)
            )
        return rank("study", rows, POINT, METRIC)

    return make


def test_three_models_have_names(front: Callable[..., Front]) -> None:
    found = front((0.99, 100.0), (0.985, 50.0), (0.981, 60.0), (0.93, 2.0), (0.5, 1.0), (0.1, 0.1))
    assert {name: row and row.trial for name, row in found.named.items()} == {
        "greenest": 1,
        "most accurate": 0,
        "knee": 3,
    }
    assert [(c.title, c.row.trial) for c in choices(found)] == [
        ("Greenest", 1),
        ("Most accurate", 0),
        ("Knee", 3),
    ]
    told = found.to_json()
    assert (told["greenest"], told["most_accurate"], told["knee"]) == (1, 0, 3)
    assert told["max_drop"] == 0.01


def test_one_model_may_have_several_names(front: Callable[..., Front]) -> None:
    (only,) = choices(front((0.9, 1.0), (0.8, 2.0)))
    assert (only.title, only.names) == ("Greenest and most accurate", ("greenest", "most accurate"))
    # A model that has learnt nothing is no end of the line that the knee is sought by.
    assert front((0.9, 10.0), (0.8, 1.0), (0.1, 0.001)).knee is None
    assert choices(front()) == []


@pytest.fixture
def model(make_outcome: Callable[..., Outcome]) -> Callable[..., ScoredTrial]:
    def make(trial: int, accuracy: float, joules: float | None, size: int = 1000) -> ScoredTrial:
        outcome = replace(make_outcome(accuracy, 1e-3, joules), artefact_bytes=size)
        candidate = Candidate(ArchitectureChoice("mlp", ()))
        return ScoredTrial(1, trial, candidate, outcome, accuracy, 1.0, 1.0, 90.0, None)

    return make


def test_a_model_is_told_beside_the_baseline(model: Callable[..., ScoredTrial]) -> None:
    baseline = model(0, 0.96, 2e-4, 4000)
    assert comparison(model(3, 0.952, 5e-5), baseline, "modelled", METRIC) == (
        "−0.8 points of accuracy against the untouched baseline (trial 0) at 25.0% of its energy a "
        "prediction (modelled) and 25.0% of its size"
    )
    assert comparison(model(3, 0.97, None), baseline, "measured", METRIC) == (
        "+1 points of accuracy against the untouched baseline (trial 0) at an unknown share of its "
        "energy a prediction (measured) and 25.0% of its size"
    )
    assert comparison(baseline, baseline, "measured", METRIC) == "the untouched baseline itself"


def test_better_somewhere_is_enough_to_beat_the_baseline(
    model: Callable[..., ScoredTrial],
) -> None:
    baseline = model(0, 0.9, 1.0)
    assert not beats(baseline, baseline, METRIC)
    assert not beats(replace(baseline, score=0.8, energy_kwh=2.0), baseline, METRIC)
    assert beats(replace(baseline, score=0.91, energy_kwh=2.0), baseline, METRIC)
    assert beats(replace(baseline, score=0.8, energy_kwh=0.9), baseline, METRIC)
    assert beats(replace(baseline, score=0.8, co2_kg=0.9), baseline, METRIC)


def test_what_is_accurate_enough_is_said_by_its_rule() -> None:
    assert allowed(POINT, METRIC) == "at most 1 point below the most accurate single model"
    assert (
        allowed(Tolerance(max_drop=0.005), METRIC)
        == "at most 0.5 points below the most accurate single model"
    )
    assert (
        allowed(Tolerance(share=0.95), METRIC) == "at least 95.0% of the best accuracy in the study"
    )


def test_a_prediction_is_told_with_its_preprocessing_apart(
    model: Callable[..., ScoredTrial],
) -> None:
    row = model(5, 0.9, 188e-6)
    assert prediction_sentence(row, "modelled") == (
        "A prediction of trial 5: 188 µJ (modelled); its preprocessing was not metered."
    )
    preprocessing = replace(row.outcome.inference, joules=185e-6)
    row = replace(row, outcome=replace(row.outcome, preprocessing=preprocessing))
    assert prediction_sentence(row, "measured") == (
        "A prediction of trial 5: 373 µJ, of it the model 188 µJ and preprocessing 185 µJ "
        "(measured)."
    )

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.learning_curve import ERROR_RATE, LearningCurve, least_error, pace


def hyperbola(start: float, epochs: int, until: int | None = None) -> LearningCurve:
    """What it lacks is ``start / epoch``."""
    last = epochs if until is None else until
    return LearningCurve(tuple(1 - start / epoch for epoch in range(1, last + 1)), epochs)


def test_a_look_tells_the_share_and_what_the_best_epoch_lacks() -> None:
    curve = LearningCurve((0.2, 0.5, 0.4, 0.75), 8)
    assert curve.looks() == [(0.25, 0.5), (0.375, 0.5), (0.5, 0.25)]


def test_what_shrinks_like_one_over_epochs_has_one_pace() -> None:
    # At each look share · lack = start / epochs, and in the end the error is that times the pace.
    assert pace(hyperbola(0.8, 16), 0.8 / 16) == pytest.approx(1)
    assert pace(hyperbola(0.8, 16), 0.4 / 16) == pytest.approx(0.5)


def test_the_look_at_which_most_was_lacking_tells_the_pace() -> None:
    late = LearningCurve((0.0, 0.0, 0.0, 0.9), 4)
    assert pace(late, 0.1) == pytest.approx(0.1 / 0.75)


def test_one_that_was_never_looked_at_has_no_pace() -> None:
    assert pace(LearningCurve((0.5,), 10), 0.3) == math.inf
    assert pace(LearningCurve((1.0, 1.0), 2), 0.0) == math.inf


def test_the_bound_goes_on_at_the_pace_of_the_quickest() -> None:
    paces = [1.0, 0.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    running = hyperbola(0.8, 16, until=8)
    assert least_error(running, paces) == pytest.approx(0.5 * 0.5 * 0.1)
    # Of twenty, the second may be the one in ten that is quicker.
    assert least_error(running, [*paces, *[9.0] * 10]) == pytest.approx(1.0 * 0.5 * 0.1)


@pytest.mark.parametrize(
    ("until", "finished"), [(3, 9), (16, 9), (8, 8)], ids=["too-early", "over", "too-few"]
)
def test_nothing_is_said(until: int, finished: int) -> None:
    assert least_error(hyperbola(0.8, 16, until), [1.0] * finished) is None


def test_what_lacks_nothing_may_be_perfect() -> None:
    assert least_error(LearningCurve((1.0, 1.0), 4), [1.0] * 9) == 0.0


@given(
    st.lists(st.floats(0.001, 10), min_size=9, max_size=30),
    st.lists(st.floats(-1, 0.99), min_size=2, max_size=12),
    st.floats(0, 1),
)
def test_a_training_no_quicker_than_the_others_keeps_the_bound_at_all_looks(
    paces: list[float], qualities: list[float], error: float
) -> None:
    epochs = len(qualities)
    own = pace(LearningCurve(tuple(qualities), epochs), error)
    quicker = [min(other, own) for other in paces]
    for epoch in range(1, epochs):
        bound = least_error(LearningCurve(tuple(qualities[:epoch]), epochs), quicker)
        assert bound is None or error >= bound * (1 - 1e-9)


def test_it_is_broken_no_more_often_than_it_says() -> None:
    """Curves that know nothing of 1 / epochs, drawn alike; each bound at any look counts."""
    random, epochs, runs, broken = np.random.default_rng(4), 12, 1200, 0

    def drawn() -> tuple[tuple[float, ...], float]:
        rate, start, floor = random.uniform(0.02, 1.5), random.uniform(0.3, 1), random.beta(1, 4)
        steps = np.arange(1, epochs + 1)
        lacks = floor + (start - floor) * np.exp(-rate * steps) + random.normal(0, 0.02, epochs)
        qualities = tuple(float(1 - lack) for lack in np.maximum(lacks, 0.001))
        return qualities, float(min(1 - np.array(qualities))) * random.uniform(0.9, 1.1)

    for _ in range(runs):
        others = [drawn() for _ in range(12)]
        paces = [pace(LearningCurve(qualities, epochs), error) for qualities, error in others]
        qualities, error = drawn()
        bounds = [
            least_error(LearningCurve(qualities[:epoch], epochs), paces)
            for epoch in range(1, epochs)
        ]
        broken += any(bound is not None and error < bound * (1 - 1e-9) for bound in bounds)
    # One in thirteen: the rank is that of the quickest of twelve.
    assert 0.04 < broken / runs < ERROR_RATE

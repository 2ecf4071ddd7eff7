"""Resamples of examples: paired between models, within classes, stored without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from greenfront.objectives.resampling import (
    DRAWS,
    packed,
    resampled_scores,
    resamples,
    unpacked,
)


def test_every_draw_holds_as_many_of_each_class() -> None:
    labels = np.array([2, 0, 0, 1, 1, 1, 0, 2])
    draws = list(resamples(labels))
    assert len(draws) == DRAWS
    for chosen in draws:
        assert np.bincount(labels[chosen]).tolist() == [3, 3, 2]
    assert len({tuple(chosen) for chosen in draws}) > DRAWS / 2
    for once, again in zip(draws, resamples(labels), strict=True):
        np.testing.assert_array_equal(once, again)


def test_scores_scatter_as_a_share_does() -> None:
    right = np.arange(400) < 360  # nine tenths, in one class
    scores = resampled_scores(lambda chosen: float(right[chosen].mean()), np.zeros(400, int))
    assert scores.shape == (DRAWS,)
    assert scores.mean() == pytest.approx(0.9, abs=0.005)
    assert scores.std() == pytest.approx(binom(400, 0.9).std() / 400, rel=0.15)


def test_models_are_judged_on_the_same_draws() -> None:
    rng = np.random.default_rng(0)
    labels, right = rng.integers(0, 5, 200), rng.random(200) < 0.8
    other = right.copy()
    other[np.flatnonzero(right)[0]] = False  # one more mistake
    one, two = (
        resampled_scores(lambda chosen, r=r: float(r[chosen].mean()), labels)
        for r in (right, other)
    )
    assert (two <= one).all()
    assert (one - two).max() < 0.05 < np.ptp(one)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=300))
def test_they_are_stored_without_loss(scores: list[float]) -> None:
    made = np.array(scores, dtype=np.float32)
    np.testing.assert_array_equal(unpacked(packed(made)), made.astype(np.float64))


def test_a_thousand_examples_take_few_bytes() -> None:
    right = np.random.default_rng(1).random(1000) < 0.97
    scores = resampled_scores(lambda chosen: float(right[chosen].mean()), np.zeros(1000, int))
    assert len(packed(scores)) < 800


def test_what_was_not_packed_is_refused() -> None:
    with pytest.raises(ValueError, match="scores on resamples must be as they were packed"):
        unpacked("bm90IHppcHBlZA==")

"""The gain of a point is the hypervolume with it less that without it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from greenfront.objectives.pareto import hypervolume
from greenfront.search.samplers.green.gain import free_boxes


@st.composite
def fronts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size = draw(st.integers(1, 4))
    grid = st.integers(0, 12).map(lambda n: n / 10)  # ties, and points beyond the reference
    front = draw(arrays(np.float64, (draw(st.integers(0, 7)), size), elements=grid))
    return front, draw(arrays(np.float64, (3, size), elements=grid))


@given(fronts())
def test_gain_is_the_difference_of_hypervolumes(case: tuple[np.ndarray, np.ndarray]) -> None:
    front, points = case
    reference = np.ones(front.shape[1])
    gains = free_boxes(front, reference).gain(points[:, 0], points[:, 1:])
    without = hypervolume(front, reference) if len(front) else 0.0
    for row, point in enumerate(points):
        with_it = hypervolume(np.vstack([front, point]), reference)
        assert gains[row, row] == pytest.approx(with_it - without, abs=1e-12)


@given(fronts())
def test_boxes_do_not_overlap_and_leave_out_what_is_dominated(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    front, _ = case
    reference = np.ones(front.shape[1])
    boxes = free_boxes(front, reference)
    lower, upper = np.maximum(boxes.lower, 0), boxes.upper
    sides = np.maximum(upper - lower, 0)
    free = sides.prod(axis=1).sum()
    dominated = hypervolume(front, reference) if len(front) else 0.0
    assert free + dominated == pytest.approx(1.0)


def test_a_staircase() -> None:
    boxes = free_boxes(np.array([[0.2, 0.6], [0.5, 0.3]]), np.ones(2))
    gain = boxes.gain(np.array([0.0, 0.3]), np.array([[0.0], [0.4]]))
    # At (0.3, 0): between the steps .2 × .6, right of them .5 × .3.
    assert gain == pytest.approx(
        np.array([[0.2 + 0.3 * 0.6 + 0.5 * 0.3, 0.27], [0.2 * 0.6 + 0.3 * 0.2, 0.04]])
    )

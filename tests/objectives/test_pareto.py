from __future__ import annotations

import math

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from greenfront.objectives.pareto import hypervolume, non_dominated, ranks

Points = NDArray[np.float64]


@st.composite
def points(draw: st.DrawFn, *, objectives: int | None = None) -> Points:
    """Up to 12 vectors; half of the time on a coarse grid, so that there are ties."""
    width = objectives or draw(st.integers(2, 4))
    ties = st.integers(0, 4).map(float)
    values = draw(st.sampled_from([ties, st.floats(0, 4)]))
    row = st.lists(values, min_size=width, max_size=width)
    return np.array(draw(st.lists(row, min_size=1, max_size=12)))


def dominates(first: Points, second: Points) -> bool:
    return bool((first <= second).all() and (first < second).any())


def naive_mask(values: Points) -> list[bool]:
    return [not any(dominates(other, row) for other in values) for row in values]


# --- dominance ---------------------------------------------------------------------------------


def test_dominance() -> None:
    assert non_dominated([[1, 2], [1, 3]]).tolist() == [True, False]
    assert non_dominated([[1, 3], [1, 2]]).tolist() == [False, True]
    assert non_dominated([[1, 2], [1, 2]]).tolist() == [True, True]
    assert non_dominated([[1, 3], [2, 2]]).tolist() == [True, True]
    assert non_dominated([[-math.inf, 0], [0, 0]]).tolist() == [True, False]


@given(points())
def test_the_front_is_what_nothing_dominates(values: Points) -> None:
    mask = non_dominated(values)
    assert mask.dtype == np.bool_
    assert mask.tolist() == naive_mask(values)
    assert mask.tolist() == moocore.is_nondominated(values, keep_weakly=True).tolist()


@given(points())
def test_ranks_peel_front_after_front(values: Points) -> None:
    given_ = ranks(values)
    left, rank = np.arange(len(values)), 0
    wanted = np.full(len(values), -1)
    while len(left):
        mask = np.array(naive_mask(values[left]))
        wanted[left[mask]] = rank
        left, rank = left[~mask], rank + 1
    assert given_.tolist() == wanted.tolist()


def test_ranks_of_a_ladder() -> None:
    assert ranks([[3, 3], [1, 1], [2, 2], [0, 5], [1, 1]]).tolist() == [2, 0, 1, 0, 0]


def test_equal_rows_are_all_kept() -> None:
    assert non_dominated([[1, 2], [1, 2], [2, 1], [2, 2]]).tolist() == [True, True, True, False]


def test_nothing_has_an_empty_front() -> None:
    for width in (0, 3):
        nothing = np.empty((0, width))
        assert non_dominated(nothing).shape == (0,)
        assert ranks(nothing).shape == (0,)
        assert hypervolume(nothing, [1, 1, 1]) == 0


# --- hypervolume -------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 5, 50])
def test_a_staircase(steps: int) -> None:
    # (i, n − 1 − i) below (n, n): columns of 1, 2, …, n squares.
    stairs = [[i, steps - 1 - i] for i in range(steps)]
    assert hypervolume(stairs, [steps, steps]) == steps * (steps + 1) / 2


def test_one_objective() -> None:
    assert hypervolume([[3.0], [1.0], [2.0]], [5.0]) == 4


def test_two_boxes_in_space() -> None:
    # 1·2·3 and 2·3·1 boxes that overlap in 1·2·1.
    assert hypervolume([[2, 1, 0], [1, 0, 2]], [3, 3, 3]) == 6 + 6 - 2


def test_three_boxes_in_space() -> None:
    # Three 1·1·3 beams along the axes meet in one unit cube.
    beams = [[0, 2, 2], [2, 0, 2], [2, 2, 0]]
    assert hypervolume(beams, [3, 3, 3]) == 3 * 3 - 3 * 1 + 1


def test_a_box_in_four_dimensions() -> None:
    assert hypervolume([[0, 1, 2, 3]], [1, 3, 5, 7]) == 1 * 2 * 3 * 4


def test_rows_not_below_the_reference_add_nothing() -> None:
    assert hypervolume([[1, 1], [0, 3], [5, 0]], [3, 3]) == 4
    assert hypervolume([[3, 0]], [3, 3]) == 0


@given(points(), st.data())
def test_moocore_agrees(values: Points, data: st.DataObject) -> None:
    width = values.shape[1]
    corner = st.sampled_from([4.0, 5.0, 3.0, 2.5])
    reference = np.array(data.draw(st.lists(corner, min_size=width, max_size=width)))
    wanted = moocore.hypervolume(values, ref=reference)
    assert hypervolume(values, reference) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@given(points(), st.randoms(use_true_random=False))
def test_neither_order_nor_copies_nor_dominated_rows_matter(values: Points, random: object) -> None:
    reference = np.full(values.shape[1], 5.0)
    volume = hypervolume(values, reference)
    rows = [*values.tolist(), *values.tolist(), *(values + 0.5).tolist()]
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert hypervolume(rows, reference) == pytest.approx(volume)
    assert hypervolume(values[non_dominated(values)], reference) == pytest.approx(volume)


@given(points(), st.floats(0.5, 2), st.floats(-3, 3))
def test_it_scales_and_shifts(values: Points, times: float, shift: float) -> None:
    width = values.shape[1]
    reference = np.full(width, 5.0)
    volume = hypervolume(values, reference)
    moved = hypervolume(times * values + shift, times * reference + shift)
    assert moved == pytest.approx(volume * times**width, rel=1e-6)


# --- what all of them promise ------------------------------------------------------------------


def test_arguments_are_left_alone() -> None:
    values, reference = np.array([[1.0, 2.0], [0.5, 3.0], [2.0, 2.0]]), np.array([4.0, 4.0])
    before = values.copy(), reference.copy()
    values.setflags(write=False)
    reference.setflags(write=False)
    non_dominated(values)
    ranks(values)
    hypervolume(values, reference)
    np.testing.assert_array_equal(values, before[0])
    np.testing.assert_array_equal(reference, before[1])


def test_nan_is_refused() -> None:
    bad = [[1.0, 2.0], [math.nan, 0.0]]
    for function in (non_dominated, ranks):
        with pytest.raises(ValueError, match="without NaN"):
            function(bad)
    with pytest.raises(ValueError, match="without NaN"):
        hypervolume(bad, [3, 3])
    with pytest.raises(ValueError, match=r"reference .* none NaN"):
        hypervolume([[1.0, 2.0]], [3, math.nan])
    for function in (non_dominated, ranks):
        with pytest.raises(ValueError, match="without NaN"):
            function(bad[::-1])


def test_a_reference_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="must have 2 numbers"):
        hypervolume([[1.0, 2.0]], [3.0, 3.0, 3.0])

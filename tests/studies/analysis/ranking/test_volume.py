from __future__ import annotations

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.studies.analysis.ranking.volume import Corners, Frontier, minimised, seen_corners

UP_DOWN = (True, False)


def frontier(maximise: tuple[bool, ...], *vectors: tuple[float, ...]) -> Frontier:
    made = Frontier(maximise)
    for vector in vectors:
        made.add(vector)
    return made


def test_minimised_negates_what_is_maximised() -> None:
    np.testing.assert_array_equal(
        minimised([(1, 2, 3), (4, 5, 6)], (True, False, True)), [[-1, 2, -3], [-4, 5, -6]]
    )
    assert minimised([], UP_DOWN).shape == (0, 2)


def test_corners_of_what_was_seen() -> None:
    assert seen_corners([(0.5, 30), (0.9, 10), (0.7, 20)], UP_DOWN) == Corners((0.5, 30), (0.9, 10))
    assert seen_corners([(0.5, 30)], UP_DOWN) == Corners((0.5, 30), (0.5, 30))
    assert seen_corners([], UP_DOWN) is None


def test_a_frontier_holds_what_nothing_dominates() -> None:
    made = frontier(UP_DOWN, (0.5, 5), (0.6, 6), (0.4, 6), (0.5, 5))
    assert len(made) == 3
    made.add((0.6, 4))
    assert len(made) == 1
    assert made.dominates((0.6, 5))
    assert made.dominates((0.5, 4))
    assert not made.dominates((0.6, 4))
    assert not made.dominates((0.7, 9))
    assert not made.dominates((0.1, 3))


def test_an_empty_frontier_has_no_volume() -> None:
    made = Frontier(UP_DOWN)
    assert (len(made), made.volume(Corners((0, 1), (1, 0))), made.dominates((0, 0))) == (
        0,
        0,
        False,
    )


@given(
    st.lists(st.tuples(*[st.integers(0, 8)] * 3), min_size=1, max_size=10),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_raw_volume_and_size_agree_with_moocore(
    points: list[tuple[float, ...]], maximise: tuple[bool, bool, bool]
) -> None:
    signs = np.where(maximise, -1, 1)
    worst = np.where(maximise, -1, 9)
    losses = np.array(points) * signs
    made = frontier(maximise, *points)
    assert len(made) == int(moocore.is_nondominated(losses, keep_weakly=True).sum())
    volume = moocore.hypervolume(losses, ref=worst * signs)
    assert made.volume(Corners(tuple(worst.tolist()))) == pytest.approx(volume)


def test_share_of_a_box() -> None:
    box = Corners(worst=(0.5, 40), best=(0.9, 0))
    made = frontier(UP_DOWN, (0.7, 10))
    assert made.volume(box) == pytest.approx(1 / 2 * 3 / 4)
    made.add((0.8, 20))
    assert made.volume(box) == pytest.approx(1 / 2 * 3 / 4 + 1 / 4 * 1 / 2)
    made.add((0.95, 40))  # no better than the worst corner in one objective
    assert made.volume(box) == pytest.approx(1 / 2)


def test_nothing_counts_for_better_than_the_best_corner() -> None:
    made = frontier(UP_DOWN, (2.0, -5))
    assert made.volume(Corners((0.5, 40), (0.9, 0))) == 1


@pytest.mark.parametrize(
    "third", [(3.0, 12.0), (5.0, 16.0), (7.0, 7.0)], ids=["a multiple", "an affine one", "constant"]
)
def test_objectives_that_repeat_another_count_once(third: tuple[float, float]) -> None:
    low, high = third  # at an energy of 0 and of 4

    def with_third(accuracy: float, energy: float) -> tuple[float, float, float]:
        return accuracy, energy, low + (high - low) * energy / 4

    made = frontier((True, False, False), with_third(3, 2), with_third(1, 0), with_third(1, 3))
    plain = frontier(UP_DOWN, (3, 2), (1, 0), (1, 3))
    volume = 3 / 4 * 1 / 2 + 1 / 4 * 1 / 2
    assert plain.volume(Corners((0, 4), (4, 0))) == pytest.approx(volume)
    assert made.volume(Corners(with_third(0, 4), with_third(4, 0))) == pytest.approx(volume)


def test_objectives_that_agree_by_chance_count_each() -> None:
    # Both are half way from worst to best, but one goes up and the other down.
    made = frontier(UP_DOWN, (0.5, 50))
    assert made.volume(Corners((0, 100), (1, 0))) == pytest.approx(1 / 4)
    made = frontier((True, False, False), (3, 1, 2))
    assert made.volume(Corners((0, 4, 4), (4, 0, 0))) == pytest.approx(3 / 4 * 3 / 4 * 1 / 2)
    # The only member of the front lies on the diagonal; a trial that it dominates does not.
    made = frontier((False, False), (9, 7), (5, 5))
    assert len(made) == 1
    assert made.volume(Corners((10, 10), (0, 0))) == pytest.approx(1 / 4)


def test_volume_never_shrinks() -> None:
    made, volumes = Frontier(UP_DOWN), []
    for vector in [(0.5, 50), (0.75, 25), (0.5, 0), (0.9, 90), (0.2, 10)]:
        made.add(vector)
        volumes.append(made.volume(Corners((0, 100), (1, 0))))
    assert volumes == sorted(volumes)


def test_a_box_without_extent_has_no_volume() -> None:
    assert frontier(UP_DOWN, (1, 1)).volume(Corners((1, 1), (1, 1))) == 0

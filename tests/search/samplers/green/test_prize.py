"""The box in which a race counts what it may win."""

from __future__ import annotations

import numpy as np
import pytest

from greenfront.search.samplers.green.prize import make_box


def test_a_box_that_ends_where_what_was_seen_ends_is_stretched_and_says_how_far() -> None:
    complete = np.array([[0.4, 0.5], [0.2, 1.0]])
    box = make_box((1.0, 1.0), (0.0, 0.0), complete)
    assert box is not None
    assert box.worst.tolist() == [1.0, 1.5]
    assert box.stretched == pytest.approx(1.5)
    wide = make_box((1.0, 2.0), (0.0, 0.0), complete)
    assert wide is not None
    assert (wide.worst.tolist(), wide.stretched) == ([1.0, 2.0], 1.0)


def test_only_what_counts_is_stretched() -> None:
    # The third is a multiple of the second, the fourth has no extent.
    complete = np.array([[0.4, 0.5, 1.0, 3.0], [0.2, 1.0, 2.0, 3.0]])
    box = make_box((1.0, 1.0, 2.0, 3.0), (0.0, 0.0, 0.0, 3.0), complete)
    assert box is not None
    assert box.counted.tolist() == [0, 1]
    assert box.stretched == pytest.approx(1.5)
    raw = make_box((1.0, 1.0), None, complete[:, :2])
    assert raw is not None
    assert raw.stretched == 1.0

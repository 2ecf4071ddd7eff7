from __future__ import annotations

import pytest

from greenfront.objectives.packaging.costs import _dearer, _times
from greenfront.objectives.readings import Reading


def reading(joules: float | None) -> Reading:
    return Reading(joules, joules, joules, "modelled", "cpu", 0.0, 0.0)


@pytest.mark.parametrize(
    ("now", "then", "times"),
    [(3.0, 2.0, 1.5), (1.0, 2.0, 1.0), (None, 2.0, 1.0), (2.0, None, 1.0), (0.0, 2.0, 1.0)],
)
def test_a_faster_moment_asks_for_no_less_than_is_claimed(
    now: float | None, then: float | None, times: float
) -> None:
    assert _dearer(reading(now), reading(then)) == times


def test_what_is_told_is_what_was_found() -> None:
    """It said 1.00 times beside two figures of which the later one was lower."""
    assert _times(reading(41.1), reading(43.3)) == "0.95 times"
    assert _times(reading(None), reading(43.3)) == "an unknown multiple of"

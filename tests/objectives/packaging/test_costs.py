from __future__ import annotations

import pytest

from greenfront.objectives.packaging.costs import _dearer
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

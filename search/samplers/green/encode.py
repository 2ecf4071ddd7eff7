"""Points as numbers."""

from __future__ import annotations

from typing import Any

from greenfront.spaces.knobs import Categorical, Point
from greenfront.spaces.space import SearchSpace

__all__ = ["knob_vector"]

HALF_APART = 0.5**0.5
"""Two different categories are at distance 1, as the two ends of a range are."""
NOT_ASKED = -1.0


def knob_vector(space: SearchSpace[Any], point: Point) -> tuple[float, ...]:
    """The settings of a point as numbers, equally many for all points of a space.

    A number is its place in its range, from 0 to 1; a category is one-hot (its length √½). A
    number that is not asked is -1, a category 0.
    """
    numbers: list[float] = []
    for knob in space.knobs:
        value = point.get(knob.name)
        if isinstance(knob, Categorical):
            numbers += [HALF_APART if value == choice else 0.0 for choice in knob.choices]
        else:
            numbers.append(NOT_ASKED if value is None else knob.position(float(value)))
    return tuple(numbers)

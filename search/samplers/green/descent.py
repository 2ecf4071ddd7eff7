"""Smooth functions of some numbers within bounds, brought down in few evaluations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["descend"]

Array = NDArray[np.float64]

KEPT = 10
"""Steps from which the curvature is told."""
HALVINGS = 20
ENOUGH = 1e-4
"""Of the descent that the slope foretells, what a step must bring at least."""
FLAT, STILL = 1e-5, 2e-9
"""It ends where no slope is steeper than the one, or a step brings less than this share."""


def descend(
    function: Callable[[Array], tuple[float, Array]],
    start: Array,
    low: Array,
    high: Array,
    most_steps: int,
) -> Array:
    """Where a function is least near a start, by few steps of L-BFGS, projected onto the bounds.

    Source: Nocedal and Wright, "Numerical Optimization", 2006, algorithms 7.4 and 3.1.

    Args:
        function: Its value and its gradient.
        start: Where to begin.
        low: Lower bounds.
        high: Upper bounds.
        most_steps: Ends after so many at the latest.
    """
    x = np.clip(start, low, high)
    value, slope = function(x)
    moves: list[tuple[Array, Array]] = []
    for _ in range(most_steps):
        free = ~(((x <= low) & (slope > 0)) | ((x >= high) & (slope < 0)))
        steep = np.where(free, slope, 0.0)
        if np.abs(steep).max(initial=0.0) < FLAT:
            break
        way = np.where(free, -_curved(steep, moves), 0.0)
        if not moves or way @ steep >= 0:
            moves.clear()
            way = -steep / max(1.0, float(np.sqrt(steep @ steep)))
        for _ in range(HALVINGS):
            there = np.clip(x + way, low, high)
            value_there, slope_there = function(there)
            if value_there <= value + ENOUGH * (slope @ (there - x)):
                break
            way = 0.5 * way
        else:
            break
        step, bend = there - x, slope_there - slope
        if step @ bend > 1e-10 * (bend @ bend):
            moves = [*moves[1 - KEPT :], (step, bend)]
        still = value - value_there <= STILL * max(abs(value), abs(value_there), 1.0)
        x, value, slope = there, value_there, slope_there
        if still:
            break
    return x


def _curved(slope: Array, moves: list[tuple[Array, Array]]) -> Array:
    """The slope, divided by the curvature that past steps have shown."""
    if not moves:
        return slope
    way, shares = slope, []
    for step, bend in reversed(moves):
        share = (step @ way) / (step @ bend)
        way = way - share * bend
        shares.append(share)
    step, bend = moves[-1]
    way = way * ((step @ bend) / (bend @ bend))
    for (step, bend), share in zip(moves, reversed(shares), strict=True):
        way = way + (share - (bend @ way) / (step @ bend)) * step
    return way

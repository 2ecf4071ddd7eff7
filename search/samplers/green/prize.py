"""What a candidate's final loss would win: hypervolume beyond the front, its other values known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenfront.search.samplers.green.beliefs import Beliefs, Outlook
from greenfront.search.samplers.green.gain import FreeBoxes, free_boxes
from greenfront.search.samplers.green.index import NODES

__all__ = ["Box", "Prizes", "make_box"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

GRID = 130
"""Losses at which gains are computed; between them they are interpolated."""

BEYOND = 0.5
"""How far a box that merely spans what was seen is stretched beyond the worst, in its extents."""


@dataclass(frozen=True)
class Box:
    """The box of the hypervolume, with the objectives that count in it.

    Attributes:
        worst: Worst corner, minimised ``[objectives]``.
        best: Best corner; ``None``: raw volume in the objectives' own units.
        counted: Columns of the objectives that count; the first is always 0, the loss.
        stretched: How many times as large it is as the box that was given.
    """

    worst: Array
    best: Array | None
    counted: Indices
    stretched: float = 1.0

    def shares(self, values: Array) -> Array:
        """Vectors ``[..., objectives]`` in units of the box, of the objectives that count."""
        chosen: Array = values[..., self.counted]
        if self.best is None:
            return chosen
        low, high = self.best[self.counted], self.worst[self.counted]
        # Not cut off at the best corner: where that is the best seen, what is better must pay.
        shares: Array = (chosen - low) / (high - low)
        return shares

    @property
    def reference(self) -> Array:
        """The worst corner in units of the box."""
        return self.shares(self.worst)


def make_box(worst: Sequence[float], best: Sequence[float] | None, complete: Array) -> Box | None:
    """The box between two corners; ``None`` if the loss has no extent in it.

    Within a box, an objective whose corners agree cannot be scaled, and one that is a multiple of
    an earlier one (CO₂ under a constant intensity) would count the same gain twice: neither counts.

    Args:
        worst: Worst corner, minimised.
        best: Best corner, minimised, or ``None``.
        complete: Values of the complete candidates ``[n, objectives]``, minimised.
    """
    high = np.array(worst, dtype=np.float64)
    if best is None:
        return Box(high, None, np.arange(len(high)))
    low = np.array(best, dtype=np.float64)
    if high[0] <= low[0]:
        return None
    shares = (complete - low) / np.where(high > low, high - low, 1.0)
    # A box that ends where what was seen ends must not keep the search from looking beyond.
    given = high - low
    high = np.where(high == complete.max(axis=0), high + BEYOND * given, high)
    counted: list[int] = []
    for column in np.flatnonzero(high > low).tolist():
        if not any(np.allclose(shares[:, column], shares[:, other]) for other in counted):
            counted.append(column)
    stretched = float(np.prod((high - low)[counted] / given[counted]))
    return Box(high, low, np.array(counted), stretched)


@dataclass(frozen=True)
class Prizes:
    """Computes prizes against one front.

    Attributes:
        box: Of the hypervolume.
        free: What the front leaves free, in units of the box.
        beliefs: Know the scales of the objectives.
        floor: What no belief goes below, for each objective; ``None``: nothing.
    """

    box: Box
    free: FreeBoxes
    beliefs: Beliefs
    floor: Array | None

    @classmethod
    def beyond(cls, front: Array, box: Box, beliefs: Beliefs, floor: Array | None) -> Prizes:
        """Prizes beyond these vectors ``[n, objectives]``, minimised."""
        return cls(box, free_boxes(box.shares(front), box.reference), beliefs, floor)

    def at_nodes(self, outlook: Outlook) -> Array:
        """Expected prize ``[n, len(NODES)]`` where the final loss is at a node."""
        scale = self.beliefs.scales[0]
        places = outlook.mean[:, None] + np.sqrt(outlook.variance)[:, None] * NODES
        high = float(scale.forward(self.box.worst[:1])[0])
        low = min(float(places.min()), high - 1e-9)
        grid = np.linspace(low, high, GRID)
        gains: Array = np.zeros((len(places), GRID))
        for shift, weight in _sigma_points(outlook.doubt, self.box.counted[1:] - 1):
            gains += weight * self._gains(scale.backward(grid), outlook.others + shift)
        at = np.clip((places - low) / (grid[1] - grid[0]), 0.0, GRID - 1 - 1e-9)
        left = at.astype(np.int64)
        share = at - left
        rows = np.arange(len(places))[:, None]
        prizes: Array = gains[rows, left] * (1 - share) + gains[rows, left + 1] * share
        return prizes

    def _gains(self, losses: Array, others: Array) -> Array:
        values = np.zeros((len(others), len(self.box.worst)))
        for column, scale in enumerate(self.beliefs.scales[1:]):
            values[:, column + 1] = scale.backward(others[:, column])
        if self.floor is not None:
            values[:, 1:] = np.maximum(values[:, 1:], self.floor[1:])
        worst = np.repeat(self.box.worst[None], len(losses), axis=0)
        worst[:, 0] = losses
        return self.free.gain(self.box.shares(worst)[:, 0], self.box.shares(values)[:, 1:])


def _sigma_points(doubt: Array, columns: Indices) -> list[tuple[Array, float]]:
    """Shifts and weights with the mean and variance of the doubts in some columns.

    For one column that is Gauss's rule of three nodes. Source: Julier and Uhlmann, "Unscented
    filtering and nonlinear estimation", 2004.
    """
    unsure = [c for c in columns.tolist() if doubt[:, c].max(initial=0.0) > 0]
    nothing = np.zeros_like(doubt)
    size = len(unsure)
    reach = max(3.0, size)
    points = [(nothing, 1 - size / reach)] if size < reach else []
    for column in unsure:
        for sign in (-1.0, 1.0):
            shift = nothing.copy()
            shift[:, column] = sign * np.sqrt(reach) * doubt[:, column]
            points.append((shift, 1 / (2 * reach)))
    return points

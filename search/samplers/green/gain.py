"""How much hypervolume a candidate would add, as a function of its loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.pareto import non_dominated

__all__ = ["FreeBoxes", "free_boxes"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FreeBoxes:
    """The region that no point of a front dominates, cut into boxes that do not overlap.

    All objectives are minimised; the first is the loss. Boxes are open downwards: lower bounds
    may be minus infinity.

    Attributes:
        lower: Lower corners ``[boxes, objectives]``.
        upper: Upper corners ``[boxes, objectives]``, within the reference point.
    """

    lower: Array
    upper: Array

    def gain(self, losses: Array, others: Array) -> Array:
        """Hypervolume that points add to the front.

        Args:
            losses: Losses ``[grid]`` at which it is wanted.
            others: The other objectives of each candidate ``[n, objectives - 1]``.

        Returns:
            ``[n, grid]``, falling along the losses.
        """
        lower, upper = self.lower[None, :, 1:], self.upper[None, :, 1:]
        sides = np.maximum(upper - np.maximum(lower, others[:, None]), 0.0)
        reach = self.upper[:, 0, None] - np.maximum(self.lower[:, 0, None], losses[None])
        volume: Array = sides.prod(axis=2) @ np.maximum(reach, 0.0)
        return volume


def free_boxes(front: Array, reference: Array) -> FreeBoxes:
    """Cuts the region that ``front`` leaves free into boxes.

    The first axis is cut into slabs at the points of the front; within a slab the same points
    dominate, and the remaining axes are cut likewise. For two objectives that is the staircase.
    Source of the recursion: hypervolume by slicing objectives (Zitzler, 2001; While et al.,
    "A faster algorithm for calculating hypervolume", 2006), turned to the free region.

    Args:
        front: Points ``[n, objectives]``; dominated ones and those beyond the reference do no harm.
        reference: Worst corner ``[objectives]``.
    """
    inside = front[(front < reference).all(axis=1)]
    lower, upper = _cut(inside, reference)
    return FreeBoxes(lower, upper)


def _cut(points: Array, reference: Array) -> tuple[Array, Array]:
    size = reference.size
    if not len(points):
        return np.full((1, size), -np.inf), reference[None].astype(np.float64)
    if size == 1:
        return np.full((1, 1), -np.inf), points.min(axis=0)[None]
    points = np.unique(points[non_dominated(points)], axis=0)
    edges = np.unique(points[:, 0])
    starts, ends = np.concatenate([[-np.inf], edges]), np.concatenate([edges, reference[:1]])
    lowers, uppers = [], []
    for start, end in zip(starts, ends, strict=True):
        lower, upper = _cut(points[points[:, 0] <= start, 1:], reference[1:])
        lowers.append(np.column_stack([np.full(len(lower), start), lower]))
        uppers.append(np.column_stack([np.full(len(upper), end), upper]))
    return np.concatenate(lowers), np.concatenate(uppers)

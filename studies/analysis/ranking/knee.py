"""The knee of a front: where more accuracy begins to cost much more energy."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["knee_of"]

STRAIGHT = 1e-9


def knee_of(scores: Sequence[float], costs: Sequence[float]) -> int | None:
    """Finds the point that bulges out furthest from the line between a front's two extremes.

    Das, On characterizing the "knee" of the Pareto curve based on normal-boundary intersection,
    Structural Optimization 18 (1999) 107-115: both axes are scaled so that the extremes, here the
    cheapest and the best point, lie at 0 and 1; the knee is the point furthest above the line
    between them. Costs are taken in the logarithm, since those of networks differ by decades.

    Args:
        scores: Of each point, higher is better; finite.
        costs: Of each point, lower is better; only points with a cost above 0 can be the knee.

    Returns:
        Index of the knee; ``None`` where no point lies above the line, as with fewer than three.
    """
    points = [
        (score, math.log(cost), index)
        for index, (score, cost) in enumerate(zip(scores, costs, strict=True))
        if cost > 0
    ]
    if len(points) < 3:
        return None
    # Of equals: the cheapest of the best, and the best of the cheapest.
    high, dear, _ = max(points, key=lambda point: (point[0], -point[1]))
    low, cheap, _ = min(points, key=lambda point: (point[1], -point[0]))
    if high <= low or dear <= cheap:
        return None

    def above(point: tuple[float, float, int]) -> float:
        return (point[0] - low) / (high - low) - (point[1] - cheap) / (dear - cheap)

    knee = max(points, key=above)
    return knee[2] if above(knee) > STRAIGHT else None

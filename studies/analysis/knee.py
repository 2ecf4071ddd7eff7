"""The knee of a front: where more accuracy begins to cost much more energy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["knee_of"]


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
    above, priced = np.asarray(scores, dtype=float), np.asarray(costs, dtype=float)
    known = np.flatnonzero(priced > 0)
    if len(known) < 3:
        return None
    y, x = above[known], np.log(priced[known])
    # Of equals the first counts: the best for the least, the cheapest with the highest score.
    best = min(range(len(known)), key=lambda i: (-y[i], x[i]))
    cheapest = min(range(len(known)), key=lambda i: (x[i], -y[i]))
    rise, run = y[best] - y[cheapest], x[best] - x[cheapest]
    if rise <= 0 or run <= 0:
        return None
    bulge = (y - y[cheapest]) / rise - (x - x[cheapest]) / run
    furthest = int(bulge.argmax())
    return int(known[furthest]) if bulge[furthest] > 1e-9 else None

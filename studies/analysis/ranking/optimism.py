"""By how much the best score flatters: the examples that judge models choose among them, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what draws a front has it; what lists studies needs none
    from greenfront.objectives.metrics import Metric
    from greenfront.studies.analysis.ranking.front import ScoredTrial

__all__ = ["compared", "selection_optimism"]


def compared(rows: Sequence[ScoredTrial]) -> list[ScoredTrial]:
    """Those among which the best is chosen: where some were cross-validated, they."""
    folds = max((len(row.outcome.folds) for row in rows), default=0)
    return [row for row in rows if len(row.outcome.folds) == folds]


def selection_optimism(rows: Sequence[ScoredTrial], metric: Metric) -> float | None:
    """How much better the best model looks than it is, because it is the best of several.

    The optimism of Efron (Journal of the American Statistical Association 78, 1983): on each
    resample the best model is chosen anew, and its score there compared with that on all examples.
    With 200 examples that is some two thirds of the truth (``benchmarks/log.md``, 2026-11-27).

    Args:
        rows: All models; those that are :func:`compared` count.
        metric: What they are judged by.

    Returns:
        In the unit of the metric, 0 or more; ``None`` where fewer than two have kept resamples.
    """
    from greenfront.objectives.resampling import DRAWS, unpacked

    kept = [(row.score, row.outcome.resampled) for row in compared(rows)]
    drawn = [(score, unpacked(packed)) for score, packed in kept if packed is not None]
    drawn = [(score, scores) for score, scores in drawn if len(scores) == DRAWS]
    if len(drawn) < 2:
        return None
    import numpy as np

    sign = 1.0 if metric.maximise else -1.0
    there = sign * np.stack([scores for _, scores in drawn])
    whole = sign * np.array([score for score, _ in drawn])
    best = there.argmax(axis=0)
    return max(0.0, float(np.mean(there.max(axis=0) - whole[best])))

"""How far a score could have fallen otherwise, had other examples been at hand."""

from __future__ import annotations

from dataclasses import dataclass

from greenfront.objectives.outcome import Outcome

__all__ = ["COVERED", "ScoreInterval", "score_interval"]

COVERED = 0.95


@dataclass(frozen=True, slots=True)
class ScoreInterval:
    """The middle :data:`COVERED` of the scores on resamples of the examples.

    Attributes:
        low: In the unit of the metric.
        high: The same.
    """

    low: float
    high: float


def score_interval(outcome: Outcome) -> ScoreInterval | None:
    """The bootstrap's percentile interval (Efron and Tibshirani 1993, chapter 13) of a score.

    Args:
        outcome: Of the model.

    Returns:
        ``None`` where no resamples were kept, as in older studies.
    """
    if outcome.resampled is None:
        return None
    import numpy as np

    from greenfront.objectives.resampling import unpacked

    outside = 50 * (1 - COVERED)
    low, high = np.percentile(unpacked(outcome.resampled), [outside, 100 - outside])
    return ScoreInterval(float(low), float(high))

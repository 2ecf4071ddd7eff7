"""How far a score could have fallen otherwise, had other examples been at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from greenfront.objectives.outcome import Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from greenfront.objectives.packaging.claims import Judged

__all__ = ["COVERED", "ScoreInterval", "percentile_interval", "score_interval"]

TAILS = (2.5, 97.5)
"""Percentiles between which the interval lies."""

COVERED = (TAILS[1] - TAILS[0]) / 100


@dataclass(frozen=True, slots=True)
class ScoreInterval:
    """The middle :data:`COVERED` of the scores on resamples of the examples.

    Attributes:
        low: In the unit of the metric.
        high: The same.
    """

    low: float
    high: float


def percentile_interval(scores: NDArray[np.float64]) -> ScoreInterval | None:
    """The bootstrap's percentile interval (Efron and Tibshirani 1993, chapter 13).

    Args:
        scores: On resamples, or differences of such: ``[resamples]``.

    Returns:
        ``None`` where they are all alike: a model that errs on none of the examples may err on the
        next one, of which no resample tells.
    """
    import numpy as np

    low, high = np.percentile(scores, TAILS).tolist()
    return ScoreInterval(low, high) if low < high else None


def score_interval(judged: Outcome | Judged) -> ScoreInterval | None:
    """The interval of a score.

    Args:
        judged: What a model has scored, with its resamples.

    Returns:
        ``None`` where no resamples were kept, as in older studies, or all are alike.
    """
    if judged.resampled is None:
        return None
    from greenfront.objectives.resampling import unpacked

    return percentile_interval(unpacked(judged.resampled))

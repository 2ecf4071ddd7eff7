"""How far a score could have fallen otherwise, had other examples been at hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from greenfront.objectives.metrics import Metric
    from greenfront.objectives.outcome import Outcome
    from greenfront.objectives.packaging.claims import Judged
    from greenfront.objectives.tasks.task import TaskFacts

__all__ = [
    "COVERED",
    "ScoreInterval",
    "examples_of",
    "percentile_interval",
    "score_interval",
    "share_interval",
]

TAILS = (2.5, 97.5)
"""Percentiles between which the interval lies."""

COVERED = (TAILS[1] - TAILS[0]) / 100

DEVIATIONS = 1.96
"""Of a normal distribution, between which as much lies."""


@dataclass(frozen=True, slots=True)
class ScoreInterval:
    """Between which ends a score lies with a confidence of :data:`COVERED`.

    Attributes:
        low: In the unit of the metric.
        high: The same.
    """

    low: float
    high: float


def percentile_interval(scores: NDArray[np.float64]) -> ScoreInterval:
    """The bootstrap's percentile interval (Efron and Tibshirani 1993, chapter 13).

    Args:
        scores: On resamples, or differences of such: ``[resamples]``.
    """
    import numpy as np

    low, high = np.percentile(scores, TAILS).tolist()
    return ScoreInterval(low, high)


def share_interval(share: float, examples: int) -> ScoreInterval:
    """Wilson's interval of a share (Journal of the American Statistical Association 22, 1927).

    Resamples of examples that were all answered rightly are all right, too, which says nothing of
    the next one: of 359 right answers out of 359 this interval begins at 98.9 %.

    Args:
        share: Of the examples, from 0 to 1.
        examples: How many there are, above 0.
    """
    squared = DEVIATIONS**2 / examples
    middle = share + squared / 2
    half = math.sqrt(squared * (share * (1 - share) + squared / 4))
    return ScoreInterval(
        max(0.0, (middle - half) / (1 + squared)), min(1.0, (middle + half) / (1 + squared))
    )


def score_interval(judged: Outcome | Judged, metric: Metric) -> ScoreInterval | None:
    """The interval of a score: of an accuracy Wilson's, of others the bootstrap's.

    Args:
        judged: What a model has scored, with its decisions and resamples.
        metric: What it is judged by.

    Returns:
        ``None`` where neither tells: no resamples were kept, as in older studies, or all of them
        have the same score.
    """
    if metric.name == "accuracy" and judged.decisions is not None and judged.examples:
        return share_interval(judged.score, judged.examples)
    if judged.resampled is None:
        return None
    from greenfront.objectives.resampling import unpacked

    found = percentile_interval(unpacked(judged.resampled))
    # A model that errs on none of the examples may err on the next one: no resample tells of it.
    return found if found.low < found.high else None


def examples_of(outcome: Outcome, task: TaskFacts) -> str:
    """Which part of the task's ``sizes`` a trial's file was judged on.

    Repeats judge on the whole validation split, a trial's own measurement on its evaluation part.
    """
    single = outcome.measurements == 1 and "evaluation" in task.sizes
    return "evaluation" if single else "validation"

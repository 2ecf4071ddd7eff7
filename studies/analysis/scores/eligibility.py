"""How sure it is that a model is accurate enough: on other examples it might not have been."""

from __future__ import annotations

from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.scores import ROUNDING, Tolerance

__all__ = ["unlikely", "within_drop_probability"]

EVEN = 0.5

SINGLE = 1e-6
"""Resampled scores are kept in single precision: so much more than their rounding."""


def within_drop_probability(
    outcome: Outcome, best: Outcome, tolerance: Tolerance, metric: Metric
) -> float | None:
    """Share of resamples of the validation examples in which a model is accurate enough.

    A paired bootstrap against the model that is the most accurate on the examples at hand: both
    are judged on the same resamples, so that examples that are hard for both do not count. (Where
    one was judged on a part of them and the other on all, their resamples are independent.) The
    best of each resample would be another model each time, and always a lucky one.

    Args:
        outcome: Of the model.
        best: Of the most accurate model.
        tolerance: Says what is accurate enough.
        metric: What models are judged by.

    Returns:
        ``None`` where one of them was measured before resamples were kept.
    """
    if outcome.resampled is None or best.resampled is None:
        return None
    from greenfront.objectives.resampling import unpacked

    scores, bests = unpacked(outcome.resampled), unpacked(best.resampled)
    slack = max(SINGLE, ROUNDING) * metric.unit_drop
    enough = [
        metric.worse_by(score, tolerance.limit(one, metric)) <= slack
        for score, one in zip(scores.tolist(), bests.tolist(), strict=True)
    ]
    return sum(enough) / len(enough)


def unlikely(probability: float | None) -> str | None:
    """Why a model whose accuracy is enough is not taken all the same; ``None`` if it may be.

    An estimate within the drop is likelier than not to be so, but where it just is.
    """
    if probability is None or probability >= EVEN:
        return None
    return f"accurate enough in only {probability:.0%} of resamples of the examples"

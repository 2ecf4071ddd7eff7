"""What the learning curves of finished trainings say of one that still runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["AFTER_EPOCH", "ERROR_RATE", "FIRST_LOOK", "LearningCurve", "least_error", "pace"]

AFTER_EPOCH = "after epoch"
"""How the reason of a training begins that was stopped between two epochs."""

ERROR_RATE = 0.1
"""How often, at most, a training is expected to do better than :func:`least_error` allows."""

FIRST_LOOK = 0.25
"""Share of its epochs before which no training is judged: the first ones say little."""


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """A training as far as it has come.

    Attributes:
        qualities: After each epoch, on the validation split: the share that is right, or R² of
            numbers; at most 1.
        epochs: Of the whole training.
    """

    qualities: tuple[float, ...]
    epochs: int

    def looks(self) -> list[tuple[float, float]]:
        """Share of the epochs and what the best one so far lacks to 1, from the first look on."""
        found, best = [], -math.inf
        for epoch, quality in enumerate(self.qualities, start=1):
            best = max(best, quality)
            if epoch >= FIRST_LOOK * self.epochs:
                found.append((epoch / self.epochs, 1 - best))
        return found


def pace(curve: LearningCurve, error: float) -> float:
    """How little a finished training has left, at the look at which it still lacked most.

    Args:
        curve: Of the training.
        error: How far the model that came of it is from a perfect score, in the metric's own unit.

    Returns:
        The largest ``p`` with ``error ≥ p · share · lack`` at all looks; infinite where there was
        none, or nothing was lacking.
    """
    return min(
        (error / (share * lack) for share, lack in curve.looks() if lack > 0), default=math.inf
    )


def least_error(running: LearningCurve, paces: Sequence[float]) -> float | None:
    """How far from perfect a running training will end, at least.

    As if what a training lacks shrank like ``1 / epochs``, at a :func:`pace` of its
    own; how true that is decides how tight the bound is, not whether it holds. Of ``n`` finished
    trainings and this one, if they are exchangeable, each is equally likely to have the k-th
    smallest pace or a smaller one, which is one number for all looks at a training: so with
    ``k ≤ ERROR_RATE · (n + 1)`` the bound is broken at any of its epochs with a probability of
    ``ERROR_RATE`` at most, whatever the curves are like (conformal prediction: Vovk, Gammerman
    and Shafer, "Algorithmic Learning in a Random World", 2005, proposition 2.3).

    Searches are not quite exchangeable: later candidates are better than earlier ones, and those
    that were stopped leave no pace. `benchmarks/hopeless.py` counts what that comes to.

    Args:
        running: As far as it has come.
        paces: Of the finished trainings of the same study, one each.

    Returns:
        In the metric's own unit; ``None`` before the first look, after the last epoch, and while
        too few are finished to say so at this rate.
    """
    rank = math.floor(ERROR_RATE * (len(paces) + 1) + 1e-9)
    looks = running.looks()
    if rank < 1 or not looks or len(running.qualities) >= running.epochs:
        return None
    share, lack = looks[-1]
    return 0.0 if lack <= 0 else sorted(paces)[rank - 1] * share * lack

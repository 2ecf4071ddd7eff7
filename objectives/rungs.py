"""Rungs of a training: how far a candidate is trained before it is judged against others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from greenfront.objectives.outcome import Sizing
from greenfront.objectives.readings import Reading, total

__all__ = ["RUNGS", "RungOutcome", "rung_epochs"]

RUNGS = (1, 3, 9)
"""Ninths of a candidate's own epochs; the last is the whole of it, and all that follows."""


def rung_epochs(epochs: int, rung: int) -> int:
    """Epochs of a training that are over at a rung, one at least.

    Args:
        epochs: Of the whole training.
        rung: Index into :data:`RUNGS`.
    """
    return max(1, math.ceil(epochs * RUNGS[rung] / RUNGS[-1]))


@dataclass(frozen=True, slots=True)
class RungOutcome:
    """A candidate at a rung below the whole effort.

    Attributes:
        score: Of the network as far as it is trained, on the validation split, in the unit of the
            study's metric.
        phases: Energy of training it so far, by phase; see :class:`Outcome`.
        remaining: How much of its epochs is still to come, as a multiple of what is over; 0 where
            patience has ended it.
        tuning: Epochs by which stages that follow would tune it, as a share of its own.
        sizing: Of the graph that it would be exported as, whose cost does not depend on weights.
        preprocessing: See :class:`Outcome`.
    """

    score: float
    phases: Mapping[str, Reading]
    remaining: float
    tuning: float
    sizing: Sizing
    preprocessing: Reading | None = None

    @property
    def training(self) -> Reading:
        """Sum of :attr:`phases`."""
        return total(self.phases.values())

    @property
    def answer(self) -> Reading:
        """Energy of one prediction with its preprocessing, as far as that was metered."""
        parts = (self.sizing.inference, self.preprocessing)
        return total(part for part in parts if part is not None)

    @property
    def whole_training(self) -> Reading:
        """What its training would come to if it went on like this, epochs of tuning included."""
        own = self.phases["train"].scaled((1 + self.remaining) * (1 + self.tuning))
        if own.kind == "measured":
            own = replace(own, kind="modelled")
        return total([own, *(part for name, part in self.phases.items() if name != "train")])

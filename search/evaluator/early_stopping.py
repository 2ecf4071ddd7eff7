"""What ends the evaluation of a model early, as its search decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from greenfront.objectives.context import TrialContext
from greenfront.objectives.learning_curve import LearningCurve
from greenfront.objectives.outcome import Outcome, Sizing, Standing
from greenfront.objectives.readings import Reading

__all__ = ["EarlyStopping"]


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """Whether the evaluation of a model is worth going on with, as the search sees it.

    Attributes:
        size: Why a candidate of some size is not worth its training; ``None`` where it may be.
        standing: Where a model stands that costs something between the two.
        training: Why the rest of a training is not worth it, by what it has spent so far, which is
            read when it is asked for; ``None`` where it may be.
    """

    size: Callable[[Sizing], str | None]
    standing: Callable[[Outcome, Outcome], Standing | None]
    training: Callable[[LearningCurve, Callable[[], Reading | None]], str | None]

    @classmethod
    def of(cls, context: TrialContext) -> Self:
        """Those of a trial's context."""
        return cls(
            context.size_verdict,
            context.standing,
            lambda curve, _spent: context.training_verdict(curve),
        )

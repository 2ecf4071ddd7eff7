"""One evaluation of a candidate, and how it ended."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import optuna

from greenfront.errors import TrialFailed, TrialStopped, UsageError
from greenfront.search.problem import Evaluation, Problem
from greenfront.search.trials.running import RunningTrial
from greenfront.spaces.space import Choice
from greenfront.studies.store.trials import TrialState

__all__ = ["ATTEMPTS", "Attempt", "Step", "attempt"]

ATTEMPTS = 3
"""So often a candidate is tried, at most, that others are compared with."""

ACCIDENTS = ("crashed", "out of memory", "no reading")
"""Failures that belong to a moment: the same candidate may do better in another one."""

C = TypeVar("C", bound=Choice)


@dataclass(frozen=True, slots=True)
class Step(Generic[C]):
    """What a worker has claimed.

    Attributes:
        trial: Optuna's.
        candidate: What to train.
        rung: The first rung to be trained.
        target: The rung after which it is paused; the last one ends it.
        checkpoint: What the rung below has left.
    """

    trial: optuna.Trial
    candidate: C
    rung: int = 0
    target: int = 0
    checkpoint: Any = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an evaluation ended.

    Attributes:
        state: That of its trial, if this was the whole effort.
        evaluation: ``None`` where it was stopped or failed.
        cause: Of a failure.
        reason: Why there are no values that count, in words.
    """

    state: TrialState
    evaluation: Evaluation | None = None
    cause: str | None = None
    reason: str | None = None

    @property
    def by_accident(self) -> bool:
        """Whether it failed for what need not happen again."""
        return self.state == "failed" and self.cause in ACCIDENTS

    @property
    def values(self) -> tuple[float, ...] | None:
        """Those that count."""
        counts = self.evaluation is not None and self.state == "complete"
        return self.evaluation.values if self.evaluation and counts else None


def attempt(problem: Problem[C], candidate: C, context: RunningTrial) -> Attempt:
    """Evaluates a candidate as its context says, and charges what that has cost.

    Raises:
        UsageError: What the problem returned cannot be kept.
    """
    try:
        evaluation = problem.evaluate(candidate, context)
    except TrialStopped as stop:
        return Attempt("stopped", reason=stop.reason)
    except TrialFailed as failure:
        return Attempt("failed", cause=failure.cause, reason=str(failure))
    _require_storable(problem, evaluation)
    context.settle(evaluation.spent_kwh)
    if not all(math.isfinite(value) for value in evaluation.values):
        reason = f"the values {evaluation.values} are not finite"
        return Attempt("failed", cause="not finite", reason=reason)
    if evaluation.infeasible:
        return Attempt("infeasible", evaluation, reason="; ".join(evaluation.infeasible))
    return Attempt("complete", evaluation)


def _require_storable(problem: Problem[C], evaluation: object) -> None:
    name = f"{type(problem).__name__}.evaluate"
    if not isinstance(evaluation, Evaluation):
        raise UsageError(f"{name}: must return an Evaluation, got {evaluation!r}")
    wanted = [objective.name for objective in problem.objectives]
    if len(evaluation.values) != len(wanted):
        raise UsageError(
            f"{name}: must return a value for each objective ({', '.join(wanted)}), got "
            f"{evaluation.values!r}"
        )
    try:
        json.dumps([evaluation.detail, evaluation.checkpoint])
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{name}: detail and checkpoint must be JSON values, such as str, float, list and "
            f"dict: {error}"
        ) from None

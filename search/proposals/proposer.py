"""Where the next steps of a search come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar

from greenfront.search.problem import Problem
from greenfront.search.trials.attempt import Attempt, Step
from greenfront.search.trials.running import RunningTrial
from greenfront.spaces.space import Choice

__all__ = ["ContextAt", "Proposer"]

C = TypeVar("C", bound=Choice)

ContextAt = Callable[[int, Any], RunningTrial]
"""Makes the context of an evaluation, from its fidelity and the checkpoint that it resumes."""


class Proposer(Protocol[C]):
    """Claims steps for the workers of one run and knows how to carry them out; thread-safe.

    :class:`~greenfront.search.proposals.asking.Asking` takes whole trials from a sampler of
    Optuna's, :class:`~greenfront.search.proposals.racing.Race` trains candidates rung by rung.

    Attributes:
        raced: Whether an interrupted trial is gone on with, rather than queued again.
        busy: Whether a worker is about to claim something that nobody else can see yet.
        full: Why the search ends where no slot is left, in words.
        finished: Why it ends where a slot is left, and nothing to do with it, in words.
    """

    @property
    def raced(self) -> bool:
        """See the class."""
        ...

    @property
    def busy(self) -> bool:
        """See the class."""
        ...

    @property
    def full(self) -> str:
        """See the class."""
        ...

    @property
    def finished(self) -> str:
        """See the class."""
        ...

    def has_room(self) -> bool:
        """Whether the budget of trials leaves a slot for another step."""
        ...

    def exhausted(self, worker: int) -> bool:
        """Whether there is nothing left in the space that was not tried."""
        ...

    def next(self, worker: int) -> Step[C] | Literal["again", "wait"]:
        """Claims a step for a worker.

        Returns:
            The step; ``"again"`` where the claim was refused and another one may be granted;
            ``"wait"`` where what others are doing decides on what is next.
        """
        ...

    def carry_out(
        self, step: Step[C], problem: Problem[C], context_at: ContextAt
    ) -> Attempt | None:
        """Does what was claimed.

        Args:
            step: What was claimed.
            problem: That of the worker.
            context_at: See :data:`ContextAt`.

        Returns:
            How its trial ended; ``None`` where it goes on another time, here or elsewhere.
        """
        ...

    def expect_queued(self) -> None:
        """Is told that a point was queued in Optuna's study."""
        ...

    def effort(self) -> float | None:
        """What was begun, in whole trials; ``None`` where each trial is a whole one."""
        ...

    def end(self, reason: str) -> None:
        """Ends what is half done, since the search is over; called by the last run alone."""
        ...

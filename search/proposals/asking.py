"""Whole trials, as a sampler of Optuna's suggests them."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Generic, Literal, TypeVar

import numpy as np
from optuna.exceptions import UpdateFinishedTrialError

from greenfront.search.archive import DUPLICATES_BEFORE_RANDOM
from greenfront.search.problem import Problem
from greenfront.search.proposals.proposer import ContextAt
from greenfront.search.proposals.queueing import tell_unclaimed
from greenfront.search.runs.recovery import SLOT
from greenfront.search.search_context import SearchContext
from greenfront.search.trials.attempt import Attempt, Step, attempt
from greenfront.spaces.space import Choice
from greenfront.studies.store.trials import Start

__all__ = ["Asking"]

C = TypeVar("C", bound=Choice)


class Asking(Generic[C]):
    """Asks Optuna for trials and claims their candidates; a ``Proposer``.

    Args:
        context: The search.
        seed: Of the points that are drawn where the sampler has no new ones.
    """

    raced = False
    finished = "every candidate of the space has been tried"

    def __init__(self, context: SearchContext[C], *, seed: list[int]) -> None:
        self._context = context
        self._problem = context.problem
        self._archive = context.archive
        self._optuna_study = context.optuna_study
        self._references = context.references
        self._random = np.random.default_rng(seed)
        self._duplicates: Counter[int] = Counter()
        self._helped: set[int] = set()
        self._lock = threading.Lock()
        self._claims = 0
        self._limit = context.settings.budget.trials

    @property
    def full(self) -> str:
        """See :class:`Proposer`."""
        return f"all {self._limit} trials are finished"

    @property
    def busy(self) -> bool:
        """Whether a worker is about to claim something."""
        return self._claims > 0

    def has_room(self) -> bool:
        """Whether a slot is left beside those that workers of this run are about to claim."""
        if self._limit is None:
            return True
        left = max(self._limit - len(self._archive), 0) + self._archive.counts()["requeued"]
        return self._claims < left

    def next(self, worker: int) -> Step[C] | Literal["again"]:
        """Claims a candidate; ``"again"`` where it is another's or the slots are given out."""
        with self._lock:
            if not self.has_room():
                return "again"
            self._claims += 1
        try:
            step = self._claimed(worker)
            self._archive.refresh()  # it counts what was claimed from here on
            return step
        finally:
            with self._lock:
                self._claims -= 1

    def _claimed(self, worker: int) -> Step[C] | Literal["again"]:
        self._helped.discard(worker)
        trial = self._optuna_study.ask()
        try:
            candidate = self._context.candidate(trial)
        except UpdateFinishedTrialError:
            return "again"  # suspended in between and taken for dead: another run has ended it
        claim = self._context.study.trials.claim(
            self._context.run.run_id,
            trial.number,
            candidate.key,
            candidate.to_json(),
            self._limit,
            Start(None, None, trial.user_attrs.get(SLOT)),
        )
        if claim == "granted":
            self._duplicates[worker] = 0
            return Step(trial, candidate)
        self._duplicates[worker] += claim == "duplicate"
        tell_unclaimed(self._context, trial, candidate.key)
        return "again"

    def exhausted(self, worker: int) -> bool:
        """Whether every candidate was tried; after several duplicates, queues an untried point."""
        size = self._problem.space.size()
        outside = sum(self._archive.tried(key) for key in self._references)
        if size is not None and len(self._archive) - outside >= size:
            return not self._archive.counts()["requeued"]
        if self._duplicates[worker] < DUPLICATES_BEFORE_RANDOM or worker in self._helped:
            return False
        point = self._archive.untried(self._random)
        if point is not None:
            self._optuna_study.enqueue_trial(point)
            self._helped.add(worker)
        return point is None

    def carry_out(self, step: Step[C], problem: Problem[C], context_at: ContextAt) -> Attempt:
        """Evaluates the candidate, whole."""
        return attempt(problem, step.candidate, context_at(problem.fidelities[-1], None))

    def expect_queued(self) -> None:
        """Nothing to do: Optuna looks for queued trials each time that it is asked."""

    def effort(self) -> None:
        """Trials are whole ones."""

    def end(self, reason: str) -> None:
        """Nothing is left half done."""

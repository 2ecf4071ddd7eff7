"""What a worker tries next, where no race decides on it."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Generic, TypeVar

import numpy as np
from optuna.exceptions import UpdateFinishedTrialError

from greenfront.search.archive import DUPLICATES_BEFORE_RANDOM
from greenfront.search.proposals.queueing import tell_unclaimed
from greenfront.search.runs.recovery import SLOT
from greenfront.search.search_context import SearchContext
from greenfront.search.trials.attempt import Step
from greenfront.spaces.space import Choice
from greenfront.studies.store.trials import Start

__all__ = ["Asking"]

C = TypeVar("C", bound=Choice)


class Asking(Generic[C]):
    """Asks Optuna for trials and claims their candidates; thread-safe.

    Args:
        context: The search.
        seed: Of the points that are drawn where the sampler has no new ones.
    """

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

    @property
    def busy(self) -> bool:
        """Whether a worker is about to claim something."""
        return self._claims > 0

    def has_room(self, limit: int | None) -> bool:
        """Whether a slot is left beside those that workers of this run are about to claim.

        Args:
            limit: Trials of the study in all; ``None``: as many as you like.
        """
        if limit is None:
            return True
        left = max(limit - len(self._archive), 0) + self._archive.counts()["requeued"]
        return self._claims < left

    def next(self, worker: int, limit: int | None) -> Step[C] | None:
        """Claims a candidate; ``None`` where it is another's or the slots are given out.

        Args:
            worker: Its number.
            limit: See :meth:`has_room`.
        """
        with self._lock:
            if not self.has_room(limit):
                return None
            self._claims += 1
        try:
            step = self._claimed(worker, limit)
            self._archive.refresh()  # it counts what was claimed from here on
            return step
        finally:
            with self._lock:
                self._claims -= 1

    def _claimed(self, worker: int, limit: int | None) -> Step[C] | None:
        self._helped.discard(worker)
        trial = self._optuna_study.ask()
        try:
            candidate = self._context.candidate(trial)
        except UpdateFinishedTrialError:
            return None  # suspended in between and taken for dead: another run has ended it
        claim = self._context.study.trials.claim(
            self._context.run.run_id,
            trial.number,
            candidate.key,
            candidate.to_json(),
            limit,
            Start(None, None, trial.user_attrs.get(SLOT)),
        )
        if claim == "granted":
            self._duplicates[worker] = 0
            return Step(trial, candidate)
        self._duplicates[worker] += claim == "duplicate"
        tell_unclaimed(self._context, trial, candidate.key)
        return None

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

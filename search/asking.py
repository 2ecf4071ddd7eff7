"""What a worker tries next, where no race decides on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Generic, TypeVar

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError

from greenfront.search.archive import DUPLICATES_BEFORE_RANDOM, Archive
from greenfront.search.attempt import Step
from greenfront.search.problem import Problem
from greenfront.search.queueing import tell_unclaimed
from greenfront.search.recovery import REFERENCE
from greenfront.spaces.space import Choice
from greenfront.studies.store.runs import Run
from greenfront.studies.store.study import Study

__all__ = ["Asking"]

C = TypeVar("C", bound=Choice)


class Asking(Generic[C]):
    """Asks Optuna for trials and claims their candidates; thread-safe.

    Args:
        problem: The problem.
        study: The study, in an open storage.
        run: This run.
        archive: The study's trials.
        optuna_study: Optuna's.
        references: Candidates outside of the space, by key.
        seed: Of the points that are drawn where the sampler has no new ones.
    """

    def __init__(
        self,
        problem: Problem[C],
        study: Study,
        run: Run,
        archive: Archive,
        optuna_study: optuna.Study,
        references: Mapping[str, C],
        *,
        seed: list[int],
    ) -> None:
        self._problem = problem
        self._study = study
        self._run = run
        self._archive = archive
        self._optuna_study = optuna_study
        self._references = references
        self._random = np.random.default_rng(seed)
        self._duplicates: Counter[int] = Counter()
        self._helped: set[int] = set()

    def next(self, worker: int, limit: int | None) -> Step[C] | None:
        """Claims a candidate; ``None`` where it is another's or the slots are given out.

        Args:
            worker: Its number.
            limit: Trials of the study in all; ``None``: as many as you like.
        """
        self._helped.discard(worker)
        trial = self._optuna_study.ask()
        try:
            candidate = self.candidate(trial)
        except UpdateFinishedTrialError:
            return None  # suspended in between and taken for dead: another run has ended it
        claim = self._study.trials.claim(
            self._run.run_id, trial.number, candidate.key, candidate.to_json(), limit
        )
        if claim == "granted":
            self._duplicates[worker] = 0
            return Step(trial, candidate)
        self._duplicates[worker] += claim == "duplicate"
        tell_unclaimed(self._optuna_study, trial, candidate.key, self._archive)
        return None

    def candidate(self, trial: optuna.Trial) -> C:
        """What a trial is about: a reference, or what its sampler suggests."""
        reference = trial.user_attrs.get(REFERENCE) if self._references else None
        known = self._references.get(str(reference))
        return self._problem.space.suggest(trial) if known is None else known

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

"""The feedback loop: what a trial has reached may queue another one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from greenfront.search.archive import Archive
from greenfront.search.problem import Problem
from greenfront.spaces.knobs import Point
from greenfront.studies.store.follow_ups import FollowUp
from greenfront.studies.store.study import Study

__all__ = ["Feedback"]


class Feedback:
    """Queues what a problem wants to follow up, within a share of the trials; thread-safe.

    A follow-up is written down before it is queued, so that a kill between the two loses nothing.

    Args:
        problem: Says what follows from a trial.
        archive: The study's trials.
        study: In an open storage; keeps the follow-ups.
        enqueue: Queues a point.
    """

    def __init__(
        self,
        problem: Problem[Any],
        archive: Archive,
        study: Study,
        enqueue: Callable[[Point], None],
    ) -> None:
        self._problem = problem
        self._archive = archive
        self._study = study
        self._enqueue = enqueue
        self._lock = threading.Lock()

    def queue_again(self, queued: set[str]) -> None:
        """Queues what was written down and neither queued nor begun."""
        if not self._problem.follow_up_share:
            return
        for found in self._study.follow_ups.all():
            if found.key not in queued and not self._archive.tried(found.key):
                self._enqueue(found.point)

    def finished(self, number: int, point: Point) -> None:
        """Queues what follows from a complete trial, if anything does.

        Only trials on the present front are followed up, each once, and as long as follow-ups are
        less than their share of all trials begun.
        """
        share = self._problem.follow_up_share
        if not share or not point:
            return
        with self._lock:
            self._archive.refresh()
            trial = self._study.trials.get(number)
            if trial.values is None or self._archive.dominated(trial.values) is not None:
                return
            if len(self._study.follow_ups.all()) >= max(1, share * len(self._archive)):
                return
            wanted = self._problem.follow_up(point, trial, self._archive.finished())
            if wanted is None:
                return
            new = self._problem.space.decode(wanted.point).key
            if self._archive.tried(new):
                return
            if self._study.follow_ups.add(
                FollowUp(new, trial.key, wanted.stricter, wanted.reason, wanted.point)
            ):
                self._enqueue(wanted.point)

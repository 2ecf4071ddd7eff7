"""The feedback loop: what a trial has reached may queue another one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from greenfront.search.search_context import SearchContext
from greenfront.spaces.knobs import Point
from greenfront.studies.store.follow_ups import FollowUp

__all__ = ["Feedback"]


class Feedback:
    """Queues what a problem wants to follow up, within a share of the trials; thread-safe.

    A follow-up is written down before it is queued, so that a kill between the two loses nothing.

    Args:
        context: The search, whose problem says what follows from a trial.
        enqueue: Queues a point.
    """

    def __init__(self, context: SearchContext[Any], enqueue: Callable[[Point], None]) -> None:
        self._context = context
        self._enqueue = enqueue
        self._lock = threading.Lock()

    def queue_again(self, queued: set[str]) -> None:
        """Queues what was written down and neither queued nor begun."""
        context = self._context
        if not context.problem.follow_up_share:
            return
        for found in context.study.follow_ups.all():
            if found.key not in queued and not context.archive.tried(found.key):
                self._enqueue(found.point)

    def finished(self, number: int, point: Point) -> None:
        """Queues what follows from a complete trial, if anything does.

        Only trials on the present front are followed up, each once, and as long as follow-ups are
        less than their share of all trials begun.
        """
        problem, study, archive = self._context.problem, self._context.study, self._context.archive
        share = problem.follow_up_share
        if not share or not point:
            return
        with self._lock:
            archive.refresh()
            trial = study.trials.get(number)
            if trial.values is None or archive.dominated(trial.values) is not None:
                return
            if len(study.follow_ups.all()) >= max(1, share * len(archive)):
                return
            wanted = problem.follow_up(point, trial, archive.finished())
            if wanted is None:
                return
            new = problem.space.decode(wanted.point).key
            if archive.tried(new):
                return
            if study.follow_ups.add(
                FollowUp(new, trial.key, wanted.stricter, wanted.reason, wanted.point)
            ):
                self._enqueue(wanted.point)

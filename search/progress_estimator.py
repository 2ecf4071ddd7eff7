"""How fast a search goes, and how much work is left of it."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from greenfront.search.electricity.scheduler import RunMoments
from greenfront.search.settings import SearchSettings
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import FINISHED

__all__ = ["ProgressEstimator"]

NEARLY_DONE = 0.9
"""Share of a usual trial's time beyond which nobody can say how much of a trial is left."""

RECENT = 20
"""Trials that tell what is usual."""


class ProgressEstimator:
    """Times the trials of one run; for use by several threads.

    Seconds are those of the wall's clock, without the waits for cleaner electricity.

    Args:
        study: What is searched.
        settings: How.
        moments: Knows what workers have waited; ``None`` where nobody waits.
    """

    def __init__(self, study: Study, settings: SearchSettings, moments: RunMoments | None) -> None:
        self._study = study
        self._budget = settings.budget
        self._workers = settings.workers
        self._moments = moments
        self._lock = threading.Lock()
        self._running: dict[int, Callable[[], float]] = {}
        self._durations: list[float] = [] if moments is None else self._earlier()

    @contextlib.contextmanager
    def trial(self, worker: int) -> Iterator[Callable[[], float]]:
        """Times one trial of a worker's; gives what tells the seconds that it has worked on it."""
        began, waited = time.monotonic(), self._waited(worker)

        def worked() -> float:
            return time.monotonic() - began - (self._waited(worker) - waited)

        with self._lock:
            self._running[worker] = worked
        try:
            yield worked
        finally:
            with self._lock:
                del self._running[worker]

    def finished(self, seconds: float) -> None:
        """Takes in how long a trial took that is told to the study."""
        with self._lock:
            self._durations.append(seconds)

    def minutes(self) -> float:
        """Minutes of the study so far, over all runs."""
        waited = 0.0 if self._moments is None else self._study.pauses.waited_seconds()
        return self._study.runs.active_minutes() - waited / 60

    def seconds_left(self, counts: Mapping[str, int], kwh: float) -> float | None:
        """Seconds until trials or energy are used up; ``None`` while nothing is known.

        Args:
            counts: Trials by state.
            kwh: Spent so far.
        """
        over = sum(counts.get(state, 0) for state in FINISHED)
        with self._lock:
            if not self._durations or not over:
                return None
            usual = _mean(self._durations)
        trials_left = [] if self._budget.trials is None else [self._budget.trials - over]
        if self._budget.kwh is not None and kwh > 0:
            trials_left.append(math.ceil((self._budget.kwh - kwh) / (kwh / over)))
        if not trials_left:
            return None
        return max(0, min(trials_left)) * usual / self._workers

    def work_left(self) -> float | None:
        """Seconds of work until the first budget is reached; ``None`` while nothing is known."""
        found = []
        left = self.seconds_left(self._study.trials.counts(), self._study.ledger.total().kwh)
        if left is not None:
            with self._lock:
                # A trial that takes longer than usual still has something left.
                most = NEARLY_DONE * _mean(self._durations)
                done = sum(min(worked(), most) for worked in self._running.values())
            found.append(max(left - done / self._workers, 0.0))
        if self._budget.minutes is not None:
            found.append(max(60 * (self._budget.minutes - self.minutes()), 0.0))
        return min(found, default=None)

    def _waited(self, worker: int) -> float:
        return 0.0 if self._moments is None else self._moments.waited(worker)

    def _earlier(self) -> list[float]:
        """Seconds of work of the trials that earlier runs have finished."""
        rows = [
            row for row in self._study.trials.all() if row.state in FINISHED and row.finished_at
        ]
        held: dict[int | None, float] = defaultdict(float)
        for pause in self._study.pauses.all():
            held[pause.number] += pause.ended_at - pause.started_at
        return [
            max((row.finished_at or 0.0) - row.started_at - held[row.number], 0.0)
            for row in sorted(rows, key=lambda row: row.finished_at or 0.0)
        ]


def _mean(durations: Sequence[float]) -> float:
    recent = durations[-RECENT:]
    return sum(recent) / len(recent)

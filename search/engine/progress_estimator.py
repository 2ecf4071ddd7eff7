"""How long trials take, and how much work is left of a search."""

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
"""Largest share of the mean duration that counts as done of a running trial."""

RECENT = 20
"""Number of latest trials whose mean duration is used."""


class ProgressEstimator:
    """Times the trials of one run in wall-clock seconds without pauses; thread-safe.

    Args:
        study: The study.
        settings: Of its search.
        moments: Pauses of the workers; ``None`` where there are none.
    """

    def __init__(self, study: Study, settings: SearchSettings, moments: RunMoments | None) -> None:
        self._study = study
        self._budget = settings.budget
        self._workers = settings.workers
        self._all_waiting = settings.waiting_workers
        self._moments = moments
        self._lock = threading.Lock()
        self._running: dict[int, Callable[[], float]] = {}
        self._between = 0.0
        self._durations: list[float] = [] if moments is None else self._earlier()

    @contextlib.contextmanager
    def trial(self, worker: int) -> Iterator[Callable[[], float]]:
        """Times one trial of a worker; yields a function that returns the seconds worked on it."""
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

    def paused(self, seconds: float) -> None:
        """Adds work on a trial that goes on later: it counts with the next that is finished."""
        with self._lock:
            self._between += seconds

    def finished(self, seconds: float) -> None:
        """Adds the duration of a finished trial."""
        with self._lock:
            self._durations.append(seconds + self._between)
            self._between = 0.0

    def minutes(self) -> float:
        """Minutes of work on the study so far, over all runs."""
        waited = 0.0
        if self._moments is not None:
            waited = self._study.pauses.waited_seconds(self._all_waiting)
        return self._study.runs.active_minutes() - waited / 60

    def seconds_left(
        self, counts: Mapping[str, int], kwh: float, effort: float | None = None
    ) -> float | None:
        """Seconds until trials or energy are used up; ``None`` while unknown.

        Args:
            counts: Trials by state.
            kwh: Energy spent so far.
            effort: Of a race, in trials: what waits at a rung counts in part.
        """
        finished = sum(counts.get(state, 0) for state in FINISHED)
        over = finished if effort is None else effort
        with self._lock:
            if not self._durations or not over:
                return None
            usual = _mean(self._durations) * finished / over
        trials_left: list[float] = []
        if self._budget.trials is not None:
            trials_left.append(self._budget.trials - over)
        if self._budget.kwh is not None and kwh > 0:
            trials_left.append(math.ceil((self._budget.kwh - kwh) / (kwh / over)))
        if not trials_left:
            return None
        return max(0, min(trials_left)) * usual / self._workers

    def work_left(self) -> float | None:
        """Seconds of work until the first budget is reached; ``None`` while unknown."""
        found = []
        left = self.seconds_left(self._study.trials.counts(), self._study.ledger.total().kwh)
        if left is not None:
            with self._lock:
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
        held: dict[int | None, float] = defaultdict(float)
        for pause in self._study.pauses.all("electricity"):
            held[pause.number] += pause.ended_at - pause.started_at
        ended = sorted(
            (row.finished_at, row.started_at, row.number)
            for row in self._study.trials.all()
            if row.state in FINISHED and row.finished_at and not row.afterwards
        )
        return [max(end - begin - held[number], 0.0) for end, begin, number in ended]


def _mean(durations: Sequence[float]) -> float:
    recent = durations[-RECENT:]
    return sum(recent) / len(recent)

"""Pauses a search until the electricity is clean: before trials and between epochs."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from greenfront.errors import DataError
from greenfront.objectives.carbon.clock import Clock
from greenfront.objectives.carbon.scaling import ONE_WORKER
from greenfront.objectives.carbon.schedule import Decision, decide
from greenfront.objectives.carbon.traces import Trace, as_instant
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR
from greenfront.search.electricity.intensity import IntensityProvider
from greenfront.studies.store.ledger_writer import Basis, Moment
from greenfront.studies.store.pauses import PauseWriter

__all__ = ["CarbonScheduler", "Electricity", "RunMoments", "ScheduleSettings", "foreseen"]

POLL_SECONDS = 0.25

RESERVED_SHARE = 0.25
"""Share of the time to the deadline that is reserved for work, at least an hour, as long as the
amount of work is unknown: no trial has finished and no time is budgeted."""

MARGIN = 1.25
"""Factor on the work that is left: meeting the deadline comes before saving carbon."""


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """When to work.

    Attributes:
        deadline: When the study should be done, by the grid's clock, in seconds since 1970.
        pause_above: Wait while the intensity is over so many g/kWh, instead of looking for the
            greenest hours.
        throughput: What 1, 2, … workers of the run do together, in units of one: more of them run
            in green hours than in others. ``None``: all or none.
    """

    deadline: float
    pause_above: float | None = None
    throughput: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Electricity:
    """The electricity of a search, and when to use it.

    Attributes:
        provider: Past and future intensities.
        clock: The grid's time.
        settings: When to work; ``None``: at once.
    """

    provider: IntensityProvider
    clock: Clock
    settings: ScheduleSettings | None = None


@dataclass
class _Waits:
    """The pauses of one worker; ``since`` is the start of one that is not over yet."""

    over: list[tuple[float, float]] = field(default_factory=list)
    since: float | None = None

    def before(self, instant: float) -> float:
        """Seconds waited before an instant."""
        return sum(max(0.0, min(end, instant) - start) for start, end in self._all())

    def within(self, first: float, last: float) -> float:
        """Seconds waited within an interval."""
        return self.before(last) - self.before(first)

    def _all(self) -> list[tuple[float, float]]:
        return self.over if self.since is None else [*self.over, (self.since, math.inf)]


class RunMoments:
    """The electricity of each ledger entry of a run; implements the ledger's ``Moments``.

    Args:
        provider: Intensities over time.
        clock: The grid's time.
        earlier_seconds: What the study had waited before this run began.
        workers: How many there are.
    """

    def __init__(
        self,
        provider: IntensityProvider,
        clock: Clock,
        earlier_seconds: float = 0.0,
        workers: int = 1,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._earlier = earlier_seconds
        self._workers = workers
        self._waits: dict[int, _Waits] = {}
        self._lock = threading.Lock()

    def begin(self, worker: int, started_at: float) -> None:
        """Records that a worker begins to wait."""
        with self._lock:
            self._waits.setdefault(worker, _Waits()).since = started_at

    def end(self, worker: int, ended_at: float) -> None:
        """Records that it works again."""
        with self._lock:
            waits = self._waits[worker]
            if waits.since is not None:
                waits.over.append((waits.since, ended_at))
            waits.since = None

    def waited(self, worker: int) -> float:
        """Seconds that a worker of this run has waited so far."""
        with self._lock:
            waits = self._waits.get(worker)
            return 0.0 if waits is None else waits.before(time.time())

    def at(self, started_at: float, ended_at: float, worker: int | None) -> Moment:
        """See ``Moments.at`` of the ledger."""
        ended_at = max(ended_at, started_at + 1e-3)
        with self._lock:
            before, within = self._shift(started_at, ended_at, worker)
        g_per_kwh, basis = self._mean(started_at, ended_at)
        moved = self._earlier + before
        share = 1 - within / (ended_at - started_at)
        if moved == within == 0:
            unpaused = g_per_kwh
        elif share <= 1e-9:
            share, unpaused = 0.0, None
        else:
            unpaused, _ = self._mean(started_at - moved, ended_at - moved - within)
        return Moment(g_per_kwh, basis, unpaused, share)

    def _mean(self, first: float, last: float) -> tuple[float | None, Basis]:
        mean = self._provider.mean_between(self._clock.at(first), self._clock.at(last))
        return mean or (None, "average")

    def _shift(self, first: float, last: float, worker: int | None) -> tuple[float, float]:
        """Seconds waited before an entry and within it."""
        # The search's own work goes on while any worker does.
        if worker is None and len(self._waits) < self._workers:
            return 0.0, 0.0
        parts = [
            (waits.before(first), waits.within(first, last))
            for owner, waits in self._waits.items()
            if worker in (None, owner)
        ]
        return min(parts, default=(0.0, 0.0))


class CarbonScheduler:
    """Pauses the workers of one run until it is time to work.

    Args:
        electricity: Intensities over time, and when to work.
        pauses: Stores the pauses.
        moments: Takes them into account in the ledger.
        remaining: Estimates the wall-clock seconds of work that are left; ``None``: unknown.
        note: Takes messages for the user.

    Raises:
        ValueError: ``electricity`` does not say when to work.
    """

    def __init__(
        self,
        electricity: Electricity,
        pauses: PauseWriter,
        moments: RunMoments,
        remaining: Callable[[], float | None],
        note: Callable[[str], None],
    ) -> None:
        if electricity.settings is None:
            raise ValueError("electricity: must have settings that say when to work")
        settings = self._settings = electricity.settings
        self._provider = electricity.provider
        clock = self._clock = electricity.clock
        self._pauses = pauses
        self._moments = moments
        self._remaining = remaining
        self._note = note
        self._lock = threading.Lock()
        left = settings.deadline - clock.at(time.time())
        self._reserved = max(RESERVED_SHARE * left, SECONDS_PER_HOUR)
        self._open_until = -math.inf
        self._throughput = settings.throughput or ONE_WORKER
        self._admitted: set[int] = set()
        self._lately: Decision | None = None
        self._noted = ""

    def hold(
        self,
        worker: int,
        number: int | None,
        rest: Callable[[float], None],
        say: Callable[[str], None],
    ) -> bool:
        """Returns when it is time to work.

        Args:
            worker: Number of the caller.
            number: The trial, between two epochs; ``None`` before a trial.
            rest: Sleeps up to so many seconds; an exception of it ends the wait.
            say: Shows a line while waiting.

        Returns:
            Whether it waited.
        """
        lately = self._lately
        if number is not None and time.time() < self._open_until and self._admit(worker, lately):
            return False
        decision = self._decision()
        if self._admit(worker, decision):
            return False
        began, steady = time.time(), time.monotonic()
        self._moments.begin(worker, began)
        pause = self._pauses.begin(number, began, decision.why + self._clock.label)
        try:
            while True:
                say(decision.why + self._clock.label)
                until = self._clock.wall(decision.until.timestamp())
                while (left := until - time.time()) > 0:
                    rest(min(left, POLL_SECONDS))
                    if self._admit(worker, decision):  # another one has left
                        return True
                decision = self._decision()
                if self._admit(worker, decision):
                    return True
        finally:
            ended = began + time.monotonic() - steady  # the wall clock may have been set
            self._moments.end(worker, ended)
            self._pauses.end(pause, ended)

    def leave(self, worker: int) -> None:
        """Lets another worker run in the place of one that has no work."""
        with self._lock:
            self._admitted.discard(worker)

    def _admit(self, worker: int, decision: Decision | None) -> bool:
        """Whether a worker is among those that run now."""
        if decision is None or not decision.run:
            self.leave(worker)
            return False
        if self._settings.throughput is None:
            return True
        with self._lock:
            self._admitted.discard(worker)
            free = len(self._admitted) < decision.workers
            if free:
                self._admitted.add(worker)
            return free

    def _decision(self) -> Decision:
        now = self._clock.at(time.time())
        deadline = self._settings.deadline
        seconds = self._remaining()
        least = self._reserved if seconds is None else MARGIN * seconds * self._clock.speed
        present = as_instant(now)
        with self._lock:
            try:
                trace = self._ahead(now)
                horizon = min(deadline, trace.end.timestamp())
                limit = self._settings.pause_above
                if limit is None and now < horizon < deadline and least < deadline - now:
                    least, deadline = foreseen(least, horizon - now, deadline - now), horizon
                decision = decide(
                    present,
                    least * self._throughput[-1],
                    as_instant(deadline),
                    trace,
                    pause_above=limit,
                    throughput=self._throughput,
                )
            except DataError as error:
                why = f"run now: no forecast to wait for ({error})"
                # Ask again soon: a service may answer by then.
                until = as_instant(self._clock.at(time.time() + 60))
                decision = Decision(len(self._throughput), until, present, None, why)
            self._lately = decision
            self._open_until = self._clock.wall(decision.until.timestamp()) if decision.run else 0.0
        self._tell(decision)
        return decision

    def _ahead(self, now: float) -> Trace:
        """The hours ahead; without a forecast this moment, where that is enough to decide."""
        try:
            return self._provider.ahead(now, self._settings.deadline)
        except DataError:
            known = self._provider.known(now)
            if self._settings.pause_above is None or known is None:
                raise
            return known

    def _tell(self, decision: Decision) -> None:
        """Reports once that it waits, or why it cannot."""
        if decision.run and decision.g_per_kwh is not None:
            self._noted = ""
            return
        key = decision.why[:24] if decision.run else decision.planned_start.isoformat()
        if key != self._noted and decision.why != "no work is left":
            self._noted = key
            self._note(decision.why + self._clock.label)


def foreseen(work: float, ahead: float, left: float) -> float:
    """Seconds of work to plan within the hours that are forecast, if the deadline lies beyond.

    All of it if it takes up to half of those hours; else its share of the time, but at least half
    of those hours.

    Args:
        work: Seconds in all, less than ``left``.
        ahead: Seconds that are forecast.
        left: Seconds to the deadline.
    """
    return min(work, max(ahead / 2, work * ahead / left))

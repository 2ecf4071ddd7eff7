"""What meters that read a growing counter of joules have in common."""

from __future__ import annotations

import abc
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from greenfront.errors import MeterError
from greenfront.objectives.metering.meter import Integral, Meter, Slowdown, Snapshot
from greenfront.objectives.metering.process_tree import tree_cpu_seconds
from greenfront.objectives.metering.windows import Span
from greenfront.objectives.readings import Reading

__all__ = ["CounterMeter", "Throttle"]


class Throttle(Protocol):
    """Reads how long a component has been throttled."""

    def read(self) -> Slowdown | None:
        """The sum so far; ``None`` where the hardware reports nothing."""
        ...


class CounterMeter(Meter):
    """A meter of hardware, whose counter may fail to answer at any time."""

    def __init__(
        self, throttle: Throttle, clock_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._throttle = throttle
        self._clock_seconds = clock_seconds
        self._lock = threading.Lock()
        self._gaps = 0

    @abc.abstractmethod
    def _total_joules(self) -> float:
        """Energy so far; the lock is held.

        Raises:
            MeterError: The hardware does not answer.
        """

    @abc.abstractmethod
    def _difference(
        self, span: Span, before: Snapshot, after: Snapshot, counted_joules: float
    ) -> Reading:
        """The reading of a window at both of whose edges the counter answered."""

    def _machine_cpu_seconds(self) -> float | None:
        """Busy CPU time of the machine, where this work's share of the counter follows it."""
        return None

    def _restarts(self) -> int:
        return 0

    def _power(self) -> Integral | None:
        """What the counter is compared with."""
        return None

    def _look(self) -> None:
        # Where it fails, the next snapshot says so.
        with self._lock, suppress(MeterError):
            self._total_joules()

    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
        """See :meth:`Meter.snapshot`."""
        if cpu_seconds is None:
            cpu_seconds = tree_cpu_seconds(pid)
        counter_joules, trouble = None, ""
        with self._lock:
            try:
                counter_joules = self._total_joules()
            except MeterError as error:
                trouble = str(error)
            return Snapshot(
                wall_seconds=self._clock_seconds(),
                cpu_seconds=cpu_seconds,
                machine_cpu_seconds=self._machine_cpu_seconds(),
                counter_joules=counter_joules,
                slowdown=self._throttle.read(),
                gaps=self._gaps,
                restarts=self._restarts(),
                trouble=trouble,
                power=self._power(),
            )

    def slowdown(self) -> Slowdown | None:
        """See :meth:`Meter.slowdown`."""
        with self._lock:
            return self._throttle.read()

    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        """See :meth:`Meter.reading`."""
        span = Span.between(before, after)
        if before.counter_joules is None or after.counter_joules is None:
            return span.unavailable(self, before.trouble or after.trouble)
        counted_joules = after.counter_joules - before.counter_joules
        return self._difference(span, before, after, counted_joules)

"""Memory energy where no counter can be read: resident memory × watts per gigabyte."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from greenfront.errors import MeterError, UsageError
from greenfront.objectives.metering.meter import Meter, Snapshot
from greenfront.objectives.metering.process_tree import (
    own_rss_bytes,
    tree_cpu_seconds,
    tree_rss_bytes,
)
from greenfront.objectives.metering.windows import Span
from greenfront.objectives.readings import Reading

__all__ = ["LISTED_WATTS_PER_GB", "DramModelMeter"]

LISTED_WATTS_PER_GB = 0.3725
"""Karyakin and Salem, "An analysis of memory power consumption in database systems" (DaMoN 2017),
as the Green Algorithms calculator takes it."""

_LISTED_BAND = (0.1, 0.75)
_STATED_BAND = (0.9, 1.1)
_BYTES_A_GB = 1e9


@dataclass(slots=True)
class _Held:
    """Memory over time of one process tree, in byte-seconds."""

    seen_at: float
    rss_bytes: int
    byte_seconds: float = 0.0


class DramModelMeter(Meter):
    """``joules = gigabytes resident × watts per gigabyte × seconds``.

    Resident memory is that of the process tree, read with each snapshot and interpolated linearly
    in between. Pages that processes share count once for each of them. Joules are an order of
    magnitude; the band spans servers with large modules and small laptops.

    Args:
        watts_per_gb: The user's number, believed to 10 %; ``None`` takes the listed one.
        alone: Leaves out the process's children: for a supervisor that meters them separately.
        clock_seconds: Monotonic clock.

    Raises:
        UsageError: Not a finite number above 0.
    """

    component = "dram"
    kind = "modelled"

    def __init__(
        self,
        watts_per_gb: float | None = None,
        *,
        alone: bool = False,
        clock_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        if watts_per_gb is None:
            self._watts, band = LISTED_WATTS_PER_GB, _LISTED_BAND
            origin = "Karyakin and Salem 2017"
        elif math.isfinite(watts_per_gb) and watts_per_gb > 0:
            self._watts, origin = watts_per_gb, "stated by the user"
            band = (_STATED_BAND[0] * watts_per_gb, _STATED_BAND[1] * watts_per_gb)
        else:
            raise UsageError(
                f"watts_per_gb: must be a finite number of watts above 0, got {watts_per_gb}; "
                "leave it out for the listed one"
            )
        self._low_watts, self._high_watts = band
        self._stated = watts_per_gb
        self._rss_bytes = own_rss_bytes if alone else tree_rss_bytes
        self._clock_seconds = clock_seconds
        self._lock = threading.Lock()
        self._held: dict[int, _Held] = {}
        self.source = f"resident memory × {self._watts:.4g} W per GB ({origin})"

    def of_the_process_alone(self) -> DramModelMeter:
        """The same model without the process's children."""
        return DramModelMeter(self._stated, alone=True, clock_seconds=self._clock_seconds)

    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
        """See :meth:`Meter.snapshot`; a process that has ended holds nothing."""
        ended = cpu_seconds is not None
        if cpu_seconds is None:
            cpu_seconds = tree_cpu_seconds(pid)
        try:
            rss_bytes = self._rss_bytes(pid)
        except MeterError:
            if not ended:
                raise
            rss_bytes = 0
        with self._lock:
            now = self._clock_seconds()
            held = self._held.setdefault(pid, _Held(now, rss_bytes))
            held.byte_seconds += (held.rss_bytes + rss_bytes) / 2 * (now - held.seen_at)
            held.seen_at, held.rss_bytes = now, rss_bytes
            joules = held.byte_seconds / _BYTES_A_GB * self._watts
            return Snapshot(wall_seconds=now, cpu_seconds=cpu_seconds, counter_joules=joules)

    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        """See :meth:`Meter.reading`; always a number."""
        span = Span.between(before, after)
        joules = (after.counter_joules or 0.0) - (before.counter_joules or 0.0)
        return span.reading(
            self,
            joules,
            joules * self._low_watts / self._watts,
            joules * self._high_watts / self._watts,
        )

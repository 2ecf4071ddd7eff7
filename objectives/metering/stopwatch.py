"""Metering a process lap by lap, without gaps."""

from __future__ import annotations

from collections.abc import Callable, Collection

from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.meter import Meter
from greenfront.objectives.readings import Component, Reading

__all__ = ["Stopwatch"]

STILL_RESOLUTIONS = 10
"""A counter that has not moved for so many of its steps stands still: the lap is no short one."""


FINE_SECONDS = 0.05
PAUSES_A_STEP = 20


class Stopwatch:
    """Meters one process lap by lap.

    Every moment since construction belongs to exactly one lap, so the laps add up to the total.
    A component whose counter did not move in a short lap is left out of it; its window stays open
    and the next lap that can be resolved holds both. Where the counter stands still for long or its
    device is gone, the reading is unavailable for good and says why: that energy is unknown, and so
    is every sum that it belongs to. Not thread-safe.

    Args:
        instruments: The meters.
        pid: The root of the process tree.
        clock: CPU seconds to meter instead of those of the whole tree: a supervisor that meters
            its children separately gives its own, or they would count twice.

    Raises:
        MeterError: There is no such process.
    """

    def __init__(
        self, instruments: Instruments, pid: int, clock: Callable[[], float] | None = None
    ) -> None:
        self._instruments = instruments
        self._pid = pid
        self._clock = clock
        self._since = instruments.snapshot(pid, cpu_seconds=clock() if clock else None)
        self._open: list[Meter] = []

    @property
    def pause_seconds(self) -> float | None:
        """How long to wait before another lap, so that fine counters resolve what is still open.

        A window of a millisecond would have no reading otherwise. ``None`` where nothing is open,
        or only by a counter that moves too seldom to be waited for.
        """
        fine = [m.resolution_seconds for m in self._open if m.resolution_seconds <= FINE_SECONDS]
        return max(fine) / PAUSES_A_STEP if fine else None

    def lap(
        self, *, cpu_seconds: float | None = None, drop: Collection[Component] = ()
    ) -> dict[Component, Reading]:
        """Ends a lap and begins the next.

        Args:
            cpu_seconds: CPU time of the tree where the caller knows it already, as ``wait4`` tells
                it of a process that has ended.
            drop: Components that this process did not use: others may have, and pay for it. Their
                next lap begins here in any case.

        Returns:
            What each component used since its previous lap, or since construction; a component
            whose counter could not tell so short a lap is absent.

        Raises:
            MeterError: There is no such process; the lap then goes on.
        """
        if cpu_seconds is None and self._clock is not None:
            cpu_seconds = self._clock()
        now = self._instruments.snapshot(self._pid, cpu_seconds=cpu_seconds)
        laps = self._instruments.readings(self._since, now)
        carried = [
            meter.component not in drop and _too_short(meter, laps[meter.component])
            for meter in self._instruments.meters
        ]
        self._open = [
            meter
            for meter, open_still in zip(self._instruments.meters, carried, strict=True)
            if open_still
        ]
        self._since = tuple(
            earlier if open_still else later
            for earlier, later, open_still in zip(self._since, now, carried, strict=True)
        )
        return {
            component: reading
            for (component, reading), open_still in zip(laps.items(), carried, strict=True)
            if component not in drop and not open_still
        }


def _too_short(meter: Meter, reading: Reading) -> bool:
    still_seconds = STILL_RESOLUTIONS * meter.resolution_seconds
    return reading.kind == "unavailable" and reading.wall_seconds <= still_seconds

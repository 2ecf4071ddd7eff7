"""Laps: windows that share their edges, so that nothing falls between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.meter import Component
from greenfront.objectives.readings import Reading

__all__ = ["CARRIED", "Stopwatch"]

CARRIED = "too short: in the next lap"
"""Flag of a lap that its counter could not resolve; leave such laps out of sums."""


class Stopwatch:
    """Meters one process lap by lap.

    Every moment since construction belongs to exactly one lap, so the laps add up to the total.
    Where a counter could not tell a lap (it did not move), that component's reading is
    unavailable, spans 0 seconds and is flagged :data:`CARRIED`; its window stays open and the
    next lap that can be told holds both. Not for use by several threads at once.

    Args:
        instruments: The meters.
        pid: The root of the process tree.
        clock: Gives the CPU seconds to meter where they are not those of the whole tree: a
            supervisor that meters its children apart gives its own, or they would count twice.

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

    def lap(self, *, cpu_seconds: float | None = None) -> dict[Component, Reading]:
        """Ends a lap and begins the next.

        Args:
            cpu_seconds: CPU time of the tree where the caller knows it already, as ``wait4`` tells
                it of a process that has ended.

        Returns:
            What each component used since the previous lap, or since construction.

        Raises:
            MeterError: See :meth:`Meter.snapshot`; the lap then goes on.
        """
        if cpu_seconds is None and self._clock is not None:
            cpu_seconds = self._clock()
        now = self._instruments.snapshot(self._pid, cpu_seconds=cpu_seconds)
        laps = self._instruments.readings(self._since, now)
        resolved = [reading.kind != "unavailable" for reading in laps.values()]
        self._since = tuple(
            later if told else earlier
            for earlier, later, told in zip(self._since, now, resolved, strict=True)
        )
        return {
            component: reading if told else _carried(reading)
            for (component, reading), told in zip(laps.items(), resolved, strict=True)
        }


def _carried(reading: Reading) -> Reading:
    return replace(
        reading,
        cpu_seconds=0.0,
        wall_seconds=0.0,
        flags=tuple(sorted({*reading.flags, CARRIED})),
    )

"""CPU and memory energy from RAPL counters, read from Linux' powercap files."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from greenfront.errors import MeterError
from greenfront.objectives.metering.counter import CounterMeter
from greenfront.objectives.metering.meter import IdlePower, Snapshot
from greenfront.objectives.metering.polling import poll, watch_resolution
from greenfront.objectives.metering.process_tree import machine_cpu_seconds
from greenfront.objectives.metering.throttle import CpuThrottle
from greenfront.objectives.metering.windows import (
    BUSY_RESOLUTION_SECONDS,
    RESTARTED,
    Span,
    active_joules,
    share_of,
)
from greenfront.objectives.readings import Reading

__all__ = ["POWERCAP", "Clocks", "RaplComponent", "RaplMeter"]

RaplComponent = Literal["cpu", "dram"]
POWERCAP = Path("/sys/class/powercap")

# The mirrors under intel-rapl-mmio do not match.
_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")
_SAFE_WATTS = 1000.0
"""No package draws more."""
_UNWATCHED_SECONDS = 1.0
"""How much earlier than it is noted a counter may have been read."""
_LOOK_SECONDS = 5.0
"""Often, for the shorter a silence, the less of a restart can pass for a wrap."""
_WATCHED_SECONDS = 0.5
_POLLS_A_SILENCE = 4
_MEMORY_COMPARED_POWER = 4.0
"""CPU time says less of memory traffic than of the processor's own work."""


@dataclass(slots=True)
class _Counter:
    """One zone's counter with its wraps undone.

    Attributes:
        path: The counter file.
        range_uj: The counter starts again from 0 here, in µJ.
        last_uj: What the file said last.
        before_uj: Energy until the counter last started from 0.
        restarts: How often it did so before the end of its range.
    """

    path: Path
    range_uj: int
    last_uj: int
    before_uj: int = 0
    restarts: int = 0

    def total_uj(self, unseen_seconds: float) -> int:
        """Energy so far.

        A counter that fell has wrapped, unless that would take more power than a package draws:
        then it was reset (the machine slept, or the driver was reloaded) and its loss is unknown.
        """
        now_uj = _read(self.path)
        if now_uj < self.last_uj:
            wrap_joules = (self.range_uj - self.last_uj + now_uj) / 1e6
            if wrap_joules > _SAFE_WATTS * (unseen_seconds + _UNWATCHED_SECONDS):
                self.before_uj += self.last_uj
                self.restarts += 1
            else:
                self.before_uj += self.range_uj
        self.last_uj = now_uj
        return self.before_uj + now_uj


def _suspended_seconds() -> float:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks that a reading of RAPL needs.

    Attributes:
        wall_seconds: Monotonic clock.
        suspended_seconds: How long the machine has slept since boot, which that clock leaves out.
        busy_seconds: Busy CPU time of the machine since boot; ``None`` where it is unknown.
    """

    wall_seconds: Callable[[], float] = time.monotonic
    suspended_seconds: Callable[[], float] = _suspended_seconds
    busy_seconds: Callable[[], float | None] = machine_cpu_seconds


def _read(path: Path) -> int:
    try:
        return int(path.read_text())
    except PermissionError:
        raise MeterError(
            f"RAPL counter {path}: must be readable, but permission is denied; run "
            f"'sudo chmod a+r {path.parent.parent}/intel-rapl:*/energy_uj' (it holds until the "
            "next boot), or go without, and CPU energy is modelled"
        ) from None
    except (OSError, ValueError) as error:
        raise MeterError(
            f"RAPL counter {path}: must hold a number of µJ, but reading it failed ({error}); "
            "resume where it can be read, or start a new study, which finds another source"
        ) from None


def _counters(root: Path, component: RaplComponent) -> list[_Counter]:
    """All packages or all memories; ``psys`` holds more than the CPU and is neither."""
    folders = sorted(zone for zone in root.glob("intel-rapl:*") if _ZONE.fullmatch(zone.name))
    named = [(zone, (zone / "name").read_text().strip()) for zone in folders]
    return [
        _Counter(
            path=zone / "energy_uj",
            range_uj=_read(zone / "max_energy_range_uj"),
            last_uj=_read(zone / "energy_uj"),
        )
        for zone, name in named
        if (name.startswith("package-") if component == "cpu" else name == "dram")
    ]


def _found(root: Path, component: RaplComponent) -> list[_Counter]:
    counters = _counters(root, component)
    if counters and min(counter.range_uj for counter in counters) > 0:
        return counters
    if component == "dram":
        raise MeterError(
            f"RAPL memory: needs a dram counter under {root}, found none; there is no way to add "
            'one, but [metering] dram = "model" charges memory by its size'
        )
    raise MeterError(
        f"RAPL: needs a package counter with a range under {root}, found none; on an "
        "Intel or AMD machine run 'sudo modprobe intel_rapl_msr', in a virtual machine "
        "there is no way, and CPU energy is modelled"
    )


class RaplMeter(CounterMeter):
    """``joules = (counted energy − idle watts × wall) × share of the machine's busy CPU time``.

    The share is the process tree's CPU time over that of the whole machine, at most 1. Windows
    that share their edges add up exactly as long as the share is steady; where it changes, the
    sum of the shorter windows is better. The share of the idle energy is in ``reserved_joules``:
    over all processes both together are what the counter counted.

    The band holds the counter's own accuracy, ±5 % (Khan et al., "RAPL in Action", ACM TOMPECS
    3(2), 2018), the age of the counter at both edges, the spread of the idle power, the share when
    a CPU-second of this work draws half or twice the power of its neighbours' CPU-seconds (for
    memory a quarter or four times), and the ticks of the machine's busy time.

    A thread reads the counter often enough that no wrap is missed. A window is unavailable
    (``None``, never 0) where that failed, as in a long sleep of the machine, where the counter was
    reset, did not move though the process worked, or could not be read at an edge.

    Args:
        root: The powercap folder.
        component: ``"cpu"`` takes the packages, ``"dram"`` the memories.
        idle: Of all of them together; it is not charged.
        resolution_seconds: How often the counter is refreshed; ``None`` measures it.
        throttle: Of the CPU; ``None`` detects it.
        clocks: What to read time from.

    Raises:
        MeterError: No counter, one that may not be read, or one that stands still; the message has
            the remedy.
    """

    kind = "measured"
    counts_idle = True

    def __init__(
        self,
        root: Path = POWERCAP,
        component: RaplComponent = "cpu",
        idle: IdlePower | None = None,
        *,
        resolution_seconds: float | None = None,
        throttle: CpuThrottle | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self._clocks = clocks or Clocks()
        super().__init__(throttle or CpuThrottle(), self._clocks.wall_seconds)
        self.component = component
        self.idle = idle
        self._counters = _found(root, component)
        if self._clocks.busy_seconds() is None:
            raise MeterError(
                "RAPL: needs the machine's busy CPU time to tell this work's share, but there is "
                "no /proc/stat; run on Linux, or go without, and CPU energy is modelled"
            )
        watched = resolution_seconds or _watch(self._counters)
        self.resolution_seconds = max(watched, BUSY_RESOLUTION_SECONDS)
        self._seen_at, self._suspended_at = self._clock_seconds(), self._clocks.suspended_seconds()
        self.max_silence_seconds = (
            min(counter.range_uj for counter in self._counters) / 1e6 / _SAFE_WATTS
        )
        count = len(self._counters)
        what = f"{count} CPU package(s)" if component == "cpu" else f"memory on {count} package(s)"
        off = "" if idle is None else " minus those of the idle machine"
        self.source = f"RAPL counters of {what}{off} × share of busy CPU time"
        poll(self._look, min(self.max_silence_seconds / _POLLS_A_SILENCE, _LOOK_SECONDS))

    def _total_joules(self) -> float:
        now, suspended = self._clock_seconds(), self._clocks.suspended_seconds()
        unseen = now - self._seen_at
        # Asleep it draws next to nothing: only waking seconds make a wrap plausible.
        total_uj = sum(counter.total_uj(unseen) for counter in self._counters)
        silence = unseen + suspended - self._suspended_at
        self._gaps += silence > self.max_silence_seconds
        self._seen_at, self._suspended_at = now, suspended
        return total_uj / 1e6

    def _machine_cpu_seconds(self) -> float | None:
        return self._clocks.busy_seconds()

    def _restarts(self) -> int:
        return sum(counter.restarts for counter in self._counters)

    def _difference(
        self, span: Span, before: Snapshot, after: Snapshot, counted_joules: float
    ) -> Reading:
        if after.gaps > before.gaps:
            return span.unavailable(self, "counter was not read often enough: a wrap may be lost")
        if after.restarts > before.restarts:
            return span.unavailable(self, RESTARTED)
        compared = _MEMORY_COMPARED_POWER if self.component == "dram" else 2.0
        share = share_of(span, before, after, compared)
        if share is None:
            return span.unavailable(self, "busy time unknown")
        if counted_joules <= 0 and span.cpu_seconds > 0:
            return span.unavailable(self, "counter did not move")
        active = active_joules(self, span, counted_joules)
        idle_joules = active.idle_joules
        return span.reading(
            self,
            active.joules * share.best,
            active.low_joules * share.low * (1 - share.edge),
            active.high_joules * share.high * (1 + share.edge),
            *active.flags,
            reserved_joules=None if idle_joules is None else idle_joules * share.best,
        )


def _watch(counters: Sequence[_Counter]) -> float:
    found = watch_resolution(lambda: sum(_read(c.path) for c in counters), _WATCHED_SECONDS)
    if found is None:
        raise MeterError(
            f"RAPL counter {counters[0].path}: must move, but it stood still for "
            f"{_WATCHED_SECONDS:g} s, as emulated ones do; run on the machine itself, or go "
            "without, and CPU energy is modelled"
        )
    return found

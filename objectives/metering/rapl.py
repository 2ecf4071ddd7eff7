"""CPU energy from the processor's own counter: RAPL, by way of Linux' powercap files."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from greenfront.errors import MeterError
from greenfront.objectives.metering.meter import Meter, Snapshot
from greenfront.objectives.metering.process_tree import machine_cpu_seconds, tree_cpu_seconds
from greenfront.objectives.metering.windows import grown
from greenfront.objectives.readings import Reading

__all__ = ["POWERCAP", "RaplMeter"]

POWERCAP = Path("/sys/class/powercap")

_ZONE = re.compile(
    r"intel-rapl:\d+"
)  # sub zones and the mirrors under intel-rapl-mmio do not match
_SAFE_WATTS = 1000.0
_ACCURACY = 0.05
_COMPARED_POWER = 2.0
_BUSY_RESOLUTION_SECONDS = 0.02


@dataclass(slots=True)
class _Package:
    """One package's counter with its wraps undone.

    Attributes:
        path: The counter file.
        range_uj: The counter starts again from 0 here, in µJ.
        last_uj: What the file said last.
        wrapped_uj: Energy of all wraps so far.
    """

    path: Path
    range_uj: int
    last_uj: int
    wrapped_uj: int = 0

    def total_uj(self) -> int:
        now_uj = _read(self.path)
        if now_uj < self.last_uj:
            self.wrapped_uj += self.range_uj
        self.last_uj = now_uj
        return self.wrapped_uj + now_uj


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


def _packages(root: Path) -> list[_Package]:
    """All packages; not their sub zones, and not ``psys``, which holds more than the CPU."""
    zones = sorted(zone for zone in root.glob("intel-rapl:*") if _ZONE.fullmatch(zone.name))
    return [
        _Package(
            path=zone / "energy_uj",
            range_uj=_read(zone / "max_energy_range_uj"),
            last_uj=_read(zone / "energy_uj"),
        )
        for zone in zones
        if (zone / "name").read_text().startswith("package-")
    ]


def _share_of(power_ratio: float, share: float) -> float:
    """Share of the energy of work whose CPU-seconds cost ``power_ratio`` times the others'."""
    return power_ratio * share / (power_ratio * share + 1 - share)


class RaplMeter(Meter):
    """``joules = (package energy − idle watts × wall) × share of the machine's busy CPU time``.

    The share is the process tree's CPU time over that of the whole machine, at most 1. Windows
    that share their edges add up exactly as long as the share is steady; where it changes, the
    sum of the shorter windows is the better number.

    The band holds the counter's own accuracy, ±5 % (Khan et al., "RAPL in Action", ACM TOMPECS
    3(2), 2018), the share when a CPU-second of this work draws half or twice the power of its
    neighbours' CPU-seconds, and the ticks in which the machine's busy time is told.

    A window in which the counter did not move though the process worked, or without a table of
    CPU times, is unavailable: ``None``, never 0.

    Args:
        root: The powercap folder.
        idle_watts: What all packages draw together while the machine idles; it is not charged.
        machine_seconds: Busy CPU seconds of the machine since boot.
        clock_seconds: Monotonic clock.

    Raises:
        MeterError: No package counter, or one that may not be read; the message has the remedy.
    """

    component = "cpu"
    kind = "measured"
    resolution_seconds = 0.1

    def __init__(
        self,
        root: Path = POWERCAP,
        idle_watts: float = 0.0,
        *,
        machine_seconds: Callable[[], float | None] = machine_cpu_seconds,
        clock_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (math.isfinite(idle_watts) and idle_watts >= 0):
            raise MeterError(
                f"idle_watts: must be a finite number of watts of 0 or more, got {idle_watts}; "
                "leave it out for 0"
            )
        self._packages = _packages(root)
        if not self._packages or min(package.range_uj for package in self._packages) <= 0:
            raise MeterError(
                f"RAPL: needs a package counter with a range under {root}, found none; on an "
                "Intel or AMD machine run 'sudo modprobe intel_rapl_msr', in a virtual machine "
                "there is no way, and CPU energy is modelled"
            )
        if machine_seconds() is None:
            raise MeterError(
                "RAPL: needs the machine's busy CPU time to tell this work's share, but there is "
                "no /proc/stat; run on Linux, or go without, and CPU energy is modelled"
            )
        self._idle_watts = idle_watts
        self._machine_seconds = machine_seconds
        self._clock_seconds = clock_seconds
        self._lock = threading.Lock()
        self.max_silence_seconds = (
            min(package.range_uj for package in self._packages) / 1e6 / _SAFE_WATTS
        )
        self.source = (
            f"RAPL counters of {len(self._packages)} CPU package(s) minus {idle_watts:g} W idle "
            "× share of busy CPU time"
        )

    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
        """See :meth:`Meter.snapshot`."""
        if cpu_seconds is None:
            cpu_seconds = tree_cpu_seconds(pid)
        with self._lock:
            total_uj = sum(package.total_uj() for package in self._packages)
            return Snapshot(
                wall_seconds=self._clock_seconds(),
                cpu_seconds=cpu_seconds,
                machine_cpu_seconds=self._machine_seconds(),
                counter_joules=total_uj / 1e6,
            )

    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        """See :meth:`Meter.reading`."""
        wall_seconds = after.wall_seconds - before.wall_seconds
        cpu_seconds, flags = grown(before.cpu_seconds, after.cpu_seconds, "cpu time")
        package_joules = (after.counter_joules or 0.0) - (before.counter_joules or 0.0)
        if before.machine_cpu_seconds is None or after.machine_cpu_seconds is None:
            return self._unavailable(cpu_seconds, wall_seconds, (*flags, "busy time unknown"))
        if package_joules <= 0 and cpu_seconds > 0:
            return self._unavailable(cpu_seconds, wall_seconds, (*flags, "counter did not move"))

        # The tree's clock is finer than the machine's ticks and may run ahead of them.
        busy_seconds = max(after.machine_cpu_seconds - before.machine_cpu_seconds, cpu_seconds)
        share = cpu_seconds / busy_seconds if busy_seconds > 0 else 0.0
        edge = min(1.0, _BUSY_RESOLUTION_SECONDS / busy_seconds) if busy_seconds > 0 else 0.0
        active_joules = package_joules - self._idle_watts * wall_seconds
        if active_joules < 0:
            active_joules, flags = 0.0, (*flags, "less than idle energy, clamped to 0")
        return Reading(
            joules=active_joules * share,
            low_joules=active_joules
            * _share_of(1 / _COMPARED_POWER, share)
            * max(0.0, 1 - _ACCURACY - edge),
            high_joules=active_joules * _share_of(_COMPARED_POWER, share) * (1 + _ACCURACY + edge),
            kind=self.kind,
            source=self.source,
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
            flags=tuple(sorted(flags)),
        )

    def _unavailable(
        self, cpu_seconds: float, wall_seconds: float, flags: tuple[str, ...]
    ) -> Reading:
        return Reading(
            joules=None,
            low_joules=None,
            high_joules=None,
            kind="unavailable",
            source=self.source,
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
            flags=tuple(sorted(flags)),
        )

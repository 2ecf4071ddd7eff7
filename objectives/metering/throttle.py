"""Throttling of the CPU, by heat above all: detecting it, and when to measure again.

A throttled processor takes longer for the same work: its seconds and joules do not describe the
model.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from greenfront.objectives.metering.meter import Slowdown
from greenfront.objectives.metering.windows import HEAT, Span
from greenfront.objectives.readings import Reading

__all__ = ["COOL_DOWNS_SECONDS", "SYSTEM", "CpuThrottle", "cooldown_seconds", "is_hot"]

SYSTEM = Path("/sys")

TOLERATED_SHARE = 0.05
"""Share of some time that heat may take before its measurements do not count."""

COOL_DOWNS_SECONDS = (10.0, 20.0, 40.0)
"""How long to let the machine cool down before the first repeat, the second, and so on."""

FEW = 4


def cooldown_seconds(readings: Iterable[Reading], repeats: int) -> float | None:
    """Decides whether a window must be measured again because the hardware was too hot.

    A power limit is no reason: it holds after a pause as well.

    Returns:
        How long to let the machine cool down before the repeat; ``None`` where the window is good,
        or has been repeated often enough.
    """
    hot = any(is_hot(reading) for reading in readings)
    return COOL_DOWNS_SECONDS[repeats] if hot and repeats < len(COOL_DOWNS_SECONDS) else None


def is_hot(window: Reading | Span) -> bool:
    """Whether heat has slowed the hardware down for more than can be tolerated."""
    if HEAT not in window.flags:
        return False
    # Where the duration is unknown, the fact decides.
    share = window.throttled_seconds / window.wall_seconds if window.wall_seconds > 0 else 0.0
    return share == 0 or share > TOLERATED_SHARE


class CpuThrottle:
    """Throttling of processors, as the kernel reports it.

    Heat: counted times of each package where the kernel has them (Linux 5.7 and newer on Intel),
    counted events in older ones; elsewhere each look that finds the kernel cooling by slower
    processors. There a clock limit below that at the start counts as a power limit: a laptop's on
    battery, or of a power profile, which no pause lifts. A virtual machine has none of these.

    Args:
        root: The kernel's folder of devices; ``None``: :data:`SYSTEM`.

    Attributes:
        source: What is read, in words; empty where there is nothing.
    """

    def __init__(self, root: Path | None = None) -> None:
        root = root or SYSTEM
        cpus = sorted(
            (root / "devices/system/cpu").glob("cpu[0-9]*"), key=lambda path: int(path.name[3:])
        )
        packages = {
            _text(cpu / "topology/physical_package_id") or "0": cpu for cpu in reversed(cpus)
        }
        folders = [cpu / "thermal_throttle" for cpu in packages.values()]
        self._times = _there(folder / "package_throttle_total_time_ms" for folder in folders)
        self._events = [] if self._times else _there(f / "package_throttle_count" for f in folders)
        self._cooling: list[Path] = []
        self._limits: dict[Path, int] = {}
        if not (self._times or self._events):
            devices = sorted((root / "class/thermal").glob("cooling_device*"))
            slowing = (each for each in devices if _slows_processors(_text(each / "type")))
            self._cooling = _there(each / "cur_state" for each in slowing)[:FEW]
            for path in _there(cpu / "cpufreq/scaling_max_freq" for cpu in cpus)[:FEW]:
                self._limits[path] = _number(path)
        self._cooled = 0
        self._capped_seconds, self._looked_at = 0.0, time.monotonic()
        named = {
            "throttling times": self._times,
            "throttling events": self._events,
            "passive cooling": self._cooling,
            "clock limits": self._limits,
        }
        self.source = next((words for words, files in named.items() if files), "")

    def read(self) -> Slowdown | None:
        """The sum so far; ``None`` where the kernel reports nothing."""
        if not self.source:
            return None
        heat_seconds = sum(_number(path) for path in self._times) / 1e3
        hot = any(_number(path) for path in self._cooling)
        self._cooled += hot
        now = time.monotonic()
        if not hot and any(0 < _number(path) < limit for path, limit in self._limits.items()):
            self._capped_seconds += now - self._looked_at
        self._looked_at = now
        events = sum(_number(path) for path in self._events) + self._cooled
        return Slowdown(heat_seconds, self._capped_seconds, events)


def _slows_processors(kind: str) -> bool:
    """Whether a cooling device is ACPI's of processors or that of their clocks, and no fan."""
    return kind == "Processor" or "cpufreq" in kind


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text().strip()
    return ""


def _there(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if _text(path).isdecimal()]


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdecimal() else 0

"""Arithmetic of metered windows."""

from __future__ import annotations

from dataclasses import dataclass

from greenfront.objectives.metering.meter import Meter, Snapshot
from greenfront.objectives.readings import Reading

__all__ = [
    "BUSY_RESOLUTION_SECONDS",
    "COUNTER_ACCURACY",
    "HEAT",
    "POWER_LIMIT",
    "RESTARTED",
    "Active",
    "Share",
    "Span",
    "active_joules",
    "share_of",
]

HEAT = "slowed down by heat"
"""Flag of a reading; ``cooldown_seconds`` of the module ``throttle`` acts on it."""

POWER_LIMIT = "slowed down by its power limit"
"""Flag of a reading: a limit of power, or of the clock, slowed the work down: no pause lifts it."""

RESTARTED = "counter began again: the machine slept, or its driver was loaded again"
"""Flag of a reading that is unavailable for that."""

BUSY_RESOLUTION_SECONDS = 0.02
"""Two ticks of the machine's busy time, one at each edge."""

COUNTER_ACCURACY = 0.05
"""Relative; of RAPL: Khan et al., "RAPL in Action", ACM TOMPECS 3(2), 2018."""

_COMPARED_POWER = 2.0


@dataclass(frozen=True, slots=True)
class Span:
    """The difference of two snapshots, without the energy.

    Attributes:
        wall_seconds: Length.
        cpu_seconds: CPU time of the process tree.
        throttled_seconds: How long heat slowed the component down.
        flags: What the reading must carry.
    """

    wall_seconds: float
    cpu_seconds: float
    throttled_seconds: float
    flags: tuple[str, ...]

    @classmethod
    def between(cls, before: Snapshot, after: Snapshot) -> Span:
        """The difference of two snapshots; pure."""
        wall_seconds = after.wall_seconds - before.wall_seconds
        cpu_seconds, flags = after.cpu_seconds - before.cpu_seconds, tuple[str, ...]()
        if cpu_seconds < 0:  # a child has left the process tree
            cpu_seconds, flags = 0.0, ("cpu time fell and was clamped to 0",)
        throttled_seconds = 0.0
        if before.slowdown is not None and after.slowdown is not None:
            heat = after.slowdown.heat_seconds - before.slowdown.heat_seconds
            throttled_seconds = min(max(heat, 0.0), wall_seconds)
            if heat > 0 or after.slowdown.events > before.slowdown.events:
                flags = (*flags, HEAT)
            if after.slowdown.cap_seconds > before.slowdown.cap_seconds:
                flags = (*flags, POWER_LIMIT)
        return cls(wall_seconds, cpu_seconds, throttled_seconds, flags)

    def reading(
        self,
        meter: Meter,
        joules: float,
        low_joules: float,
        high_joules: float,
        *flags: str,
        reserved_joules: float | None = None,
    ) -> Reading:
        """A reading of this span; the band is widened where it does not hold ``joules``."""
        return Reading(
            joules=joules,
            low_joules=min(joules, low_joules),
            high_joules=max(joules, high_joules),
            kind=meter.kind,
            source=meter.source,
            cpu_seconds=self.cpu_seconds,
            wall_seconds=self.wall_seconds,
            flags=tuple(sorted({*self.flags, *flags})),
            reserved_joules=reserved_joules,
            throttled_seconds=self.throttled_seconds,
        )

    def unavailable(self, meter: Meter, *why: str) -> Reading:
        """A reading without energy, flagged with the reason."""
        return Reading(
            joules=None,
            low_joules=None,
            high_joules=None,
            kind="unavailable",
            source=meter.source,
            cpu_seconds=self.cpu_seconds,
            wall_seconds=self.wall_seconds,
            flags=tuple(sorted({*self.flags, *why})),
            throttled_seconds=self.throttled_seconds,
        )


@dataclass(frozen=True, slots=True)
class Share:
    """A process tree's share of the machine's work.

    Attributes:
        best: Its CPU time over the machine's busy CPU time, at most 1.
        low: The same when a CPU-second of this work draws half the power of the others'.
        high: The same when it draws twice their power.
        edge: Relative error by the ticks of the machine's busy time.
    """

    best: float
    low: float
    high: float
    edge: float


def share_of(
    span: Span, before: Snapshot, after: Snapshot, compared_power: float = _COMPARED_POWER
) -> Share | None:
    """The share of the machine's work; ``None`` where the machine's busy time is unknown."""
    if before.machine_cpu_seconds is None or after.machine_cpu_seconds is None:
        return None
    # The tree's clock is finer than the machine's ticks and may run ahead of them.
    busy_seconds = max(after.machine_cpu_seconds - before.machine_cpu_seconds, span.cpu_seconds)
    if busy_seconds <= 0:
        return Share(0.0, 0.0, 0.0, 0.0)
    share = span.cpu_seconds / busy_seconds
    return Share(
        share,
        _weighted(share, 1 / compared_power),
        _weighted(share, compared_power),
        min(1.0, BUSY_RESOLUTION_SECONDS / busy_seconds),
    )


def _weighted(share: float, power_ratio: float) -> float:
    return power_ratio * share / (power_ratio * share + 1 - share)


@dataclass(frozen=True, slots=True)
class Active:
    """A counter's energy above idle.

    Attributes:
        joules: What is above idle, at least 0.
        low_joules: Lower end of the band.
        high_joules: Upper end of the band.
        idle_joules: What was subtracted; ``None`` where idle power is unknown.
        flags: What the reading must carry.
    """

    joules: float
    low_joules: float
    high_joules: float
    idle_joules: float | None
    flags: tuple[str, ...] = ()


def active_joules(meter: Meter, span: Span, counted_joules: float) -> Active:
    """Subtracts idle energy from a counter's growth, and gives the error band.

    Each edge of the window may be as old as the counter's resolution: the energy of that time, at
    the window's mean power, is missing or too much at either end.
    """
    wall_seconds, idle = span.wall_seconds, meter.idle
    idle_seconds = wall_seconds * meter.devices
    edges = min(1.0, meter.resolution_seconds / wall_seconds) if wall_seconds > 0 else 1.0
    error_joules = counted_joules * (COUNTER_ACCURACY + edges)
    low_joules, high_joules = counted_joules - error_joules, counted_joules + error_joules
    if idle is None:
        return Active(counted_joules, max(0.0, low_joules), high_joules, None)
    above = counted_joules - idle.watts * idle_seconds
    joules = max(0.0, above)
    return Active(
        joules=joules,
        low_joules=max(0.0, low_joules - idle.high_watts * idle_seconds),
        high_joules=max(joules, high_joules - idle.low_watts * idle_seconds),
        idle_joules=counted_joules - joules,
        flags=() if above >= 0 else ("less than idle energy, clamped to 0",),
    )

"""The interface of all meters.

Life of a meter:

1. **Construction** finds the hardware or files, measures how often a counter is refreshed, and
   raises :class:`~greenfront.errors.MeterError`, with the remedy, where
   something is missing. After that ``component``, ``kind``, ``source`` and ``resolution_seconds``
   never change.
2. **Snapshots** are taken at any time, by any thread, for any live process. A snapshot holds
   counters that only grow. Taking one reads counters and changes nothing that another window
   sees, so windows may nest, overlap and be dropped. Hardware that no longer answers is no error
   then: the snapshot says so, and the readings that begin or end there are unavailable.
3. **Readings** are the pure difference of two snapshots of the same meter and process. Windows
   that share their edges add up to the window that spans them. (A counter that is shared out by
   CPU time adds up as long as the share is steady; else the sum of shorter windows is better.)

A counter that wraps is followed inside the meter, which reads it often enough by itself.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

from greenfront.objectives.readings import Component, Reading, ReadingKind

__all__ = ["IdlePower", "Integral", "Meter", "Slowdown", "Snapshot"]


@dataclass(frozen=True, slots=True)
class IdlePower:
    """Power of a component while the machine idles.

    Attributes:
        watts: Best estimate in watts.
        low_watts: Lowest that was seen, or lower end of the stated value.
        high_watts: Highest that was seen, or upper end of the stated value.
    """

    watts: float
    low_watts: float
    high_watts: float


@dataclass(frozen=True, slots=True)
class Slowdown:
    """How long a component has been throttled, since some moment in the past.

    Attributes:
        heat_seconds: By heat, or by hardware that protects itself.
        cap_seconds: By its power limit, or by one of its clock.
        events: How often by either, where only that is known.
    """

    heat_seconds: float = 0.0
    cap_seconds: float = 0.0
    events: int = 0


@dataclass(frozen=True, slots=True)
class Integral:
    """Power that was sampled and integrated, beside a counter.

    Attributes:
        joules: So far.
        gaps: How often so far samples were missing.
    """

    joules: float
    gaps: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Growing counters at one moment.

    Attributes:
        wall_seconds: Monotonic clock.
        cpu_seconds: CPU time of the process tree since the process began.
        machine_cpu_seconds: Busy CPU time of the whole machine since boot; ``None`` if unknown.
        counter_joules: The hardware counter, wraps undone; ``None`` for models, and where it no
            longer answers.
        slowdown: Of the component; ``None`` where unknown.
        gaps: How often so far energy may have been lost between two reads of the counter.
        restarts: How often so far the counter has begun again out of turn.
        trouble: Why the hardware no longer answers; empty where it does.
        power: What the counter is compared with; ``None`` where nothing is.
    """

    wall_seconds: float
    cpu_seconds: float
    machine_cpu_seconds: float | None = None
    counter_joules: float | None = None
    slowdown: Slowdown | None = None
    gaps: int = 0
    restarts: int = 0
    trouble: str = ""
    power: Integral | None = None


class Meter(abc.ABC):
    """Energy of one component, as far as one process tree caused it.

    Attributes:
        component: What is metered.
        kind: ``"measured"`` for a counter, ``"modelled"`` for a formula.
        source: Method and constants in words, pinned in the study.
        resolution_seconds: Windows much shorter than this carry no information; 0 for models.
        max_silence_seconds: Longest time between two reads of the counter that loses no wrap.
        counts_idle: Whether the source includes idle power, which has to be subtracted.
        idle: The idle power to subtract, of each device; ``None`` charges it.
        devices: How many devices its counter adds up.
    """

    component: Component
    kind: ReadingKind
    source: str
    resolution_seconds: float = 0.0
    max_silence_seconds: float = math.inf
    counts_idle: bool = False
    idle: IdlePower | None = None
    devices: int = 1

    @abc.abstractmethod
    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
        """Reads the counters now.

        Args:
            pid: The root of the process tree.
            cpu_seconds: CPU time of the tree where the caller knows it already, as ``wait4``
                tells it of a process that has ended.

        Raises:
            MeterError: The process does not exist (and ``cpu_seconds`` is not given).
        """

    def slowdown(self) -> Slowdown | None:
        """How long the component has been throttled so far; ``None`` where nothing tells."""
        return None

    @abc.abstractmethod
    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        """The energy between two snapshots of one process, the earlier one first; pure."""

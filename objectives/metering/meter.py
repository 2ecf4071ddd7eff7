"""The one interface that every source of energy readings implements.

Life of a meter:

1. **Construction** looks for the hardware or the files it needs and raises
   :class:`~greenfront.errors.MeterError`, with the remedy, where they are missing. After that
   ``component``, ``kind``, ``source`` and ``resolution_seconds`` never change.
2. **Snapshots** are taken at any time, by any thread, for any live process. A snapshot holds
   counters that only grow. Taking one reads counters and changes nothing that another window
   sees, so windows may nest, overlap and be dropped.
3. **Readings** are the pure difference of two snapshots of the same meter and process. Windows
   that share their edges add up to the window that spans them. (A counter that is shared out by
   CPU time adds up as long as the share is steady; the sum of shorter windows then knows better.)

A counter that wraps is followed inside the meter: whoever holds a window open takes a snapshot at
least every ``max_silence_seconds``.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Literal

from greenfront.objectives.readings import Kind, Reading

__all__ = ["Component", "Meter", "Snapshot"]

Component = Literal["cpu", "gpu", "dram"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Growing counters at one moment.

    Attributes:
        wall_seconds: Monotonic clock.
        cpu_seconds: CPU time of the process tree since the process began.
        machine_cpu_seconds: Busy CPU time of the whole machine since boot; ``None`` if unknown.
        counter_joules: The hardware counter, wraps undone; ``None`` for models.
    """

    wall_seconds: float
    cpu_seconds: float
    machine_cpu_seconds: float | None = None
    counter_joules: float | None = None


class Meter(abc.ABC):
    """Energy of one component, as far as one process tree caused it.

    Attributes:
        component: What is metered.
        kind: ``"measured"`` for a counter, ``"modelled"`` for a formula.
        source: Method and constants in words, pinned in the study.
        resolution_seconds: Windows much shorter than this carry no information; 0 for models.
        max_silence_seconds: Longest time between two snapshots that loses no wrap.
    """

    component: Component
    kind: Kind
    source: str
    resolution_seconds: float = 0.0
    max_silence_seconds: float = math.inf

    @abc.abstractmethod
    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
        """Reads the counters now.

        Args:
            pid: The root of the process tree.
            cpu_seconds: CPU time of the tree where the caller knows it already, as ``wait4``
                tells it of a process that has ended.

        Raises:
            MeterError: The process does not exist (and ``cpu_seconds`` is not given), or the
                hardware no longer answers.
        """

    @abc.abstractmethod
    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        """The energy between two snapshots; pure.

        Args:
            before: Taken first.
            after: Taken later, of the same process.
        """

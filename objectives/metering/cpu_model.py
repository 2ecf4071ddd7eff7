"""CPU energy where no counter can be read: CPU time × watts per busy thread.

CPU time is what the work itself used, whatever its neighbours do: the same fit beside two busy
neighbours takes far longer on the clock and draws far more at the plug, but hardly more CPU time.
Absolute joules of this model are an order of magnitude; ratios between candidates are what it is
good for, since the watts cancel.
"""

from __future__ import annotations

import csv
import math
import re
import time
from dataclasses import dataclass
from pathlib import Path

from greenfront.errors import UsageError
from greenfront.objectives.carbon.shipped import codecarbon_file
from greenfront.objectives.metering.meter import Meter, Slowdown, Snapshot
from greenfront.objectives.metering.process_tree import tree_cpu_seconds
from greenfront.objectives.metering.throttle import CpuThrottle
from greenfront.objectives.metering.windows import Span
from greenfront.objectives.readings import Reading

__all__ = [
    "CpuDescription",
    "CpuModelMeter",
    "WattsPerThread",
    "best_watts",
    "describe_cpu",
    "generic_watts",
    "listed_tdp_watts",
    "stated_watts",
    "tdp_watts",
]

_GENERIC_WATTS = 4.0
_PLAUSIBLE_WATTS = (0.5, 30.0)


@dataclass(frozen=True, slots=True)
class WattsPerThread:
    """Power of one hardware thread while it is busy.

    Attributes:
        watts: Best estimate in watts.
        low_watts: Lower end of the plausible range.
        high_watts: Upper end of the plausible range.
        origin: Where the number comes from, in words.
    """

    watts: float
    low_watts: float
    high_watts: float
    origin: str


@dataclass(frozen=True, slots=True)
class CpuDescription:
    """The processor as the kernel describes it.

    Attributes:
        name: Model name; empty where unknown.
        threads: Hardware threads of one package; 0 where unknown.
        cores: Cores of one package; 0 where unknown.
        virtual: Whether this is a virtual machine, whose ``threads`` are not the processor's.
    """

    name: str
    threads: int
    cores: int
    virtual: bool


def describe_cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> CpuDescription:
    """Reads the first entry of the kernel's table; all is unknown where there is none."""
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
    except FileNotFoundError:
        first = ""
    lines = (line.partition(":") for line in first.splitlines())
    fields = {key.strip(): value.strip() for key, _, value in lines}
    return CpuDescription(
        name=fields.get("model name", ""),
        threads=int(fields.get("siblings", 0)),
        cores=int(fields.get("cpu cores", 0)),
        virtual="hypervisor" in fields.get("flags", "").split(),
    )


def _words(name: str) -> frozenset[str]:
    """The words that tell processors apart, without trade marks and clock rates."""
    plain = re.sub(r"\((r|tm|c)\)|@.*$", " ", name.lower())
    return frozenset(plain.split()) - {"cpu", "processor"}


def listed_tdp_watts(name: str) -> float | None:
    """Thermal design power of a processor by its model name, from CodeCarbon's list.

    Returns:
        Watts of the package; ``None`` where no entry matches, or entries that match disagree. An
        entry matches if all its words are in ``name``; the one with most words wins. Entries with
        a single word, or without a digit, name no processor.
    """
    words = _words(name)
    best, found = 1, set[float]()
    with codecarbon_file("hardware/cpu_power.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            entry = _words(row["Name"])
            if len(entry) < max(best, 2) or not entry <= words:
                continue
            if not any(character.isdigit() for character in row["Name"]):
                continue
            if len(entry) > best:
                best, found = len(entry), set()
            found.add(float(row["TDP"]))
    return found.pop() if len(found) == 1 else None


def stated_watts(watts: float) -> WattsPerThread:
    """The user's number, above idle, with ±10 %: what repeated readings of a plug meter vary by.

    Raises:
        UsageError: Not a finite number above 0.
    """
    if not (math.isfinite(watts) and watts > 0):
        raise UsageError(
            f"watts_per_thread: must be a finite number of watts above 0, got {watts}; "
            "leave it out to let greenfront choose"
        )
    return WattsPerThread(watts, 0.9 * watts, 1.1 * watts, "stated by the user")


def tdp_watts(cpu: CpuDescription) -> WattsPerThread | None:
    """The processor's thermal design power shared by its hardware threads.

    The low end is half of it: work that waits for memory stays well below the limit. The high end
    is 1.3 times it for turbo above the limit, times the threads of a core, since a lone busy
    thread has the power of its core for itself.

    Returns:
        ``None`` where the processor is virtual, not listed, or the share is implausible (below
        0.5 W or above 30 W).
    """
    if cpu.virtual or cpu.threads < 1 or cpu.cores < 1:
        return None
    tdp = listed_tdp_watts(cpu.name)
    if tdp is None:
        return None
    watts = tdp / cpu.threads
    low, high = _PLAUSIBLE_WATTS
    if not low <= watts <= high:
        return None
    origin = f"TDP {tdp:g} W of {' '.join(cpu.name.split())} over {cpu.threads} threads"
    return WattsPerThread(watts, 0.5 * watts, 1.3 * watts * cpu.threads / cpu.cores, origin)


def generic_watts() -> WattsPerThread:
    """The number for an unknown processor: 4 W, as CodeCarbon assumes, within 1.5–12 W.

    The range spans today's processors: 1.4–2 W per thread where a server shares 360–400 W among
    192–256 threads, 8–12 W where a desktop draws 125–250 W with 16–24.
    """
    return WattsPerThread(_GENERIC_WATTS, 1.5, 12.0, "generic")


def best_watts(stated: float | None = None, cpu: CpuDescription | None = None) -> WattsPerThread:
    """The user's number, else the TDP of the processor (by default the one here), else 4 W.

    Raises:
        UsageError: ``stated`` is not a finite number above 0.
    """
    if stated is not None:
        return stated_watts(stated)
    return tdp_watts(cpu or describe_cpu()) or generic_watts()


class CpuModelMeter(Meter):
    """``joules = CPU-seconds × watts per busy thread``.

    Windows may be of any length: the clock of a live process is exact, and only the time of ended
    children is known in ticks of 10 ms.

    Args:
        watts_per_thread: The watts and their band; ``None`` takes :func:`best_watts` of this
            machine.
        throttle: Of the CPU; heat makes work take more CPU time. ``None`` detects it.
    """

    component = "cpu"
    kind = "modelled"

    def __init__(
        self, watts_per_thread: WattsPerThread | None = None, throttle: CpuThrottle | None = None
    ) -> None:
        self.watts = watts_per_thread or best_watts()
        self._throttle = throttle or CpuThrottle()
        self.source = (
            f"cpu-seconds × {self.watts.watts:.4g} W per busy thread ({self.watts.origin})"
        )

    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
        """See :meth:`Meter.snapshot`; takes well under a millisecond for a few processes."""
        return Snapshot(
            wall_seconds=time.monotonic(),
            cpu_seconds=tree_cpu_seconds(pid) if cpu_seconds is None else cpu_seconds,
            slowdown=self._throttle.read(),
        )

    def slowdown(self) -> Slowdown | None:
        """See :meth:`Meter.slowdown`."""
        return self._throttle.read()

    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        """See :meth:`Meter.reading`; always a number."""
        span = Span.between(before, after)
        return span.reading(
            self,
            span.cpu_seconds * self.watts.watts,
            span.cpu_seconds * self.watts.low_watts,
            span.cpu_seconds * self.watts.high_watts,
        )

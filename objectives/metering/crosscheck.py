"""The same work metered twice: by the instruments of a study, and by something else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from greenfront.objectives.metering.codecarbon import CodeCarbonMeter
from greenfront.objectives.metering.meter import Meter
from greenfront.objectives.metering.nvml import NvmlMeter
from greenfront.objectives.metering.nvml_power import Compared
from greenfront.objectives.readings import Reading

__all__ = ["CrossCheck", "cross_check", "cross_check_card"]


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Two readings of the same work.

    Attributes:
        ours: By the instrument of the study.
        codecarbon: By CodeCarbon in machine mode, shared out by CPU time.
    """

    ours: Reading
    codecarbon: Reading

    @property
    def ratio(self) -> float | None:
        """CodeCarbon's joules over ours; ``None`` where either is unavailable."""
        if not self.ours.joules or self.codecarbon.joules is None:
            return None
        return self.codecarbon.joules / self.ours.joules

    @property
    def agree(self) -> bool:
        """Whether the bands overlap."""
        mine, theirs = self.ours, self.codecarbon
        if mine.low_joules is None or mine.high_joules is None:
            return False
        if theirs.low_joules is None or theirs.high_joules is None:
            return False
        return mine.low_joules <= theirs.high_joules and theirs.low_joules <= mine.high_joules


def cross_check(meter: Meter, work: Callable[[], None]) -> CrossCheck:
    """Meters one piece of work, of seconds rather than less, both ways at once.

    Raises:
        MeterError: CodeCarbon does not start.
    """
    other, pid = CodeCarbonMeter(), os.getpid()
    before = (meter.snapshot(pid), other.snapshot(pid))
    work()
    after = (meter.snapshot(pid), other.snapshot(pid))
    return CrossCheck(meter.reading(before[0], after[0]), other.reading(before[1], after[1]))


def cross_check_card(
    meter: NvmlMeter, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> Compared | None:
    """Watches the first GPU of a meter, whatever it does, by its counter and its instant power.

    Returns:
        ``None`` where the driver tells no instant power, or stopped answering.
    """
    card, pid = meter.of_card(meter.uuids[0]), os.getpid()
    before = card.snapshot(pid, cpu_seconds=0.0)
    sleep(seconds)
    return card.compared(before, card.snapshot(pid, cpu_seconds=0.0))

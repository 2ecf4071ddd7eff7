"""Idle power: measured before a study, or stated by the user."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from greenfront.errors import MeterError
from greenfront.objectives.metering.meter import IdlePower, Meter, Snapshot
from greenfront.objectives.metering.nvml import CardMeter
from greenfront.objectives.metering.process_tree import machine_cpu_seconds, tree_cpu_seconds
from greenfront.objectives.metering.windows import RESTARTED
from greenfront.objectives.readings import Component

__all__ = ["IDLE_SECONDS", "measure_idle", "stated_idle"]

IDLE_SECONDS = 10.0
_SLICES = 5
_BUSY_SHARE = 0.1


def stated_idle(watts: float) -> IdlePower:
    """A known number: the user's, or the one that a study began with.

    Raises:
        MeterError: Not a finite number of 0 or more.
    """
    if not (math.isfinite(watts) and watts >= 0):
        raise MeterError(
            f"idle_watts: must be a finite number of watts of 0 or more, got {watts}; "
            "leave it out to have it measured"
        )
    return IdlePower(watts, watts, watts)


def measure_idle(
    meters: Sequence[Meter],
    seconds: float = IDLE_SECONDS,
    *,
    machine_seconds: Callable[[], float | None] = machine_cpu_seconds,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[Component, IdlePower]:
    """Measures the power of counters, without a baseline of their own, while the machine idles.

    Returns:
        The mean power of each, a device; the band is that of the lowest and the highest fifth of
        the time.

    Raises:
        MeterError: The machine is busy with something else, or a counter did not answer.
    """
    own, pid = tree_cpu_seconds(os.getpid()), os.getpid()
    busy = machine_seconds()
    taken = [_look(meters, pid)]
    gpu_busy = False
    for _ in range(_SLICES):
        sleep(seconds / _SLICES)
        taken.append(_look(meters, pid))
        gpu_busy = gpu_busy or any(isinstance(m, CardMeter) and m.busy for m in meters)
    others = (machine_seconds() or 0.0) - (busy or 0.0) - (tree_cpu_seconds(pid) - own)
    wall = (taken[-1][0].wall_seconds - taken[0][0].wall_seconds) if meters else seconds
    share = max(0.0, others) / (wall * (os.cpu_count() or 1))
    if share > _BUSY_SHARE or gpu_busy:
        what = "a GPU worked" if gpu_busy else f"others used {share:.0%} of its CPU time"
        raise MeterError(
            f"idle power: needs a machine that idles for {seconds:g} s, but {what}; stop what runs "
            "beside, or state [metering] idle_watts (gpu_idle_watts, dram_idle_watts)"
        )
    return {
        meter.component: _power(meter, [snapshots[i] for snapshots in taken])
        for i, meter in enumerate(meters)
    }


def _look(meters: Sequence[Meter], pid: int) -> list[Snapshot]:
    return [meter.snapshot(pid, cpu_seconds=0.0) for meter in meters]


def _watts(meter: Meter, before: Snapshot, after: Snapshot) -> float:
    seconds = after.wall_seconds - before.wall_seconds
    trouble = before.trouble or after.trouble
    if after.restarts > before.restarts:
        trouble = RESTARTED
    if before.counter_joules is None or after.counter_joules is None or seconds <= 0 or trouble:
        raise MeterError(
            f"idle power of {meter.component}: needs a counter that answers, got "
            f"'{trouble or 'no time passed'}'; state it under [metering]"
        )
    return (after.counter_joules - before.counter_joules) / seconds / meter.devices


def _power(meter: Meter, taken: Sequence[Snapshot]) -> IdlePower:
    slices = [_watts(meter, before, after) for before, after in pairwise(taken)]
    return IdlePower(_watts(meter, taken[0], taken[-1]), min(slices), max(slices))

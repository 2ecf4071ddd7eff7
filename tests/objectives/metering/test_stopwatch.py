from __future__ import annotations

import os
import subprocess
import sys

import pytest

from contracts.hardware import FakeCard, FakeNvml
from contracts.meters import ended_process, joules
from greenfront.errors import MeterError
from greenfront.objectives.metering.cpu_model import CpuModelMeter, WattsPerThread
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.meter import Meter, Snapshot
from greenfront.objectives.metering.stopwatch import Stopwatch
from greenfront.objectives.readings import Reading, total

ONE_WATT = CpuModelMeter(WattsPerThread(1, 1, 1, "test"))


class Coarse(Meter):
    """A counter that moves in steps."""

    component = "gpu"
    kind = "measured"
    source = "steps"
    resolution_seconds = 0.5

    def __init__(self) -> None:
        self.joules = 0.0

    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
        return Snapshot(cpu_seconds or 0.0, cpu_seconds or 0.0, None, self.joules)

    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        moved = after.counter_joules != before.counter_joules
        used = (after.counter_joules or 0.0) - (before.counter_joules or 0.0) if moved else None
        kind = self.kind if moved else "unavailable"
        span = after.wall_seconds - before.wall_seconds
        return Reading(used, used, used, kind, self.source, span, span)


def test_laps_add_up_to_the_whole() -> None:
    instruments = Instruments((ONE_WATT,))
    watch = Stopwatch(instruments, os.getpid())
    first = watch._since
    laps = []
    for size in (10**4, 10**6, 10, 10**5):
        sum(range(size))
        laps.append(watch.lap()["cpu"])
    whole = instruments.readings(first, watch._since)["cpu"]
    together = total(laps)
    assert together.joules == pytest.approx(joules(whole), rel=1e-9)
    assert together.wall_seconds == pytest.approx(whole.wall_seconds, rel=1e-9)
    assert together.cpu_seconds == pytest.approx(whole.cpu_seconds, rel=1e-9)


def test_the_last_lap_of_an_ended_process_is_told_by_its_waiter() -> None:
    child = subprocess.Popen([sys.executable, "-c", "sum(range(10**6)); input()"], stdin=-1)
    watch = Stopwatch(Instruments((ONE_WATT,)), child.pid)
    started = watch._since[0].cpu_seconds
    child.kill()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.stdin is not None
    child.stdin.close()
    with pytest.raises(MeterError, match="no such process"):
        watch.lap()
    spent = usage.ru_utime + usage.ru_stime + 1.0
    assert watch.lap(cpu_seconds=spent)["cpu"].joules == spent - started


def test_a_lost_child_is_clamped_and_the_next_lap_counts_in_full() -> None:
    watch = Stopwatch(Instruments((ONE_WATT,)), os.getpid())
    watch.lap(cpu_seconds=1000.0)
    lost = watch.lap(cpu_seconds=900.0)["cpu"]
    assert (lost.joules, lost.flags) == (0.0, ("cpu time fell and was clamped to 0",))
    assert watch.lap(cpu_seconds=905.0)["cpu"].joules == 5


def test_what_a_coarse_counter_cannot_tell_goes_to_the_next_lap() -> None:
    gpu = Coarse()
    watch = Stopwatch(Instruments((ONE_WATT, gpu)), os.getpid())
    base = 1000.0
    gpu.joules = 1.0
    watch.lap(cpu_seconds=base)

    short = watch.lap(cpu_seconds=base + 1)
    assert short["cpu"].joules == 1
    assert "gpu" not in short
    assert set(short) == {"cpu"}

    gpu.joules = 8.0
    later = watch.lap(cpu_seconds=base + 3)
    assert later["cpu"].joules == 2
    assert (later["gpu"].joules, later["gpu"].wall_seconds) == (7, 3)


def test_a_process_that_does_not_exist_is_refused() -> None:
    with pytest.raises(MeterError, match="no such process"):
        Stopwatch(Instruments((ONE_WATT,)), ended_process())


def test_a_counter_that_stands_still_for_long_is_no_short_lap() -> None:
    gpu = Coarse()
    watch = Stopwatch(Instruments((gpu,)), os.getpid())
    watch.lap(cpu_seconds=1000.0)
    watch.lap(cpu_seconds=1001.0)
    assert watch.lap(cpu_seconds=1004.9) == {}
    still = watch.lap(cpu_seconds=1005.1)["gpu"]
    assert (still.joules, still.kind, still.wall_seconds) == (
        None,
        "unavailable",
        pytest.approx(5.1),
    )
    assert still.cpu_seconds == pytest.approx(5.1)
    gpu.joules = 8.0
    assert watch.lap(cpu_seconds=1006.1)["gpu"].wall_seconds == pytest.approx(1)


def test_what_others_used_is_dropped_and_not_carried() -> None:
    gpu = Coarse()
    watch = Stopwatch(Instruments((ONE_WATT, gpu)), os.getpid())
    watch.lap(cpu_seconds=1000.0)
    gpu.joules = 500.0  # by others
    assert set(watch.lap(cpu_seconds=1001.0, drop=("gpu",))) == {"cpu"}
    gpu.joules = 507.0
    lap = watch.lap(cpu_seconds=1002.0)["gpu"]
    assert (lap.joules, lap.wall_seconds) == (7, 1)


def test_a_device_that_is_gone_makes_the_sum_unknown() -> None:
    nvml = FakeNvml([FakeCard("GPU-a")])
    watch = Stopwatch(Instruments((ONE_WATT, nvml.meter())), os.getpid())
    nvml.run(5000, 2.0)
    nvml.cards[0].lost = True
    laps = watch.lap()
    assert any("GPU is lost" in flag for flag in laps["gpu"].flags)
    together = total(laps.values())
    assert (together.joules, together.kind) == (None, "unavailable")


def test_a_fine_counter_is_waited_for_and_a_coarse_one_is_not() -> None:
    gpu = Coarse()
    watch = Stopwatch(Instruments((ONE_WATT, gpu)), os.getpid())
    watch.lap(cpu_seconds=1000.0)
    assert watch.pause_seconds is None  # the model can always tell
    watch.lap(cpu_seconds=1000.01)
    assert watch.pause_seconds is None  # half a second a step
    gpu.resolution_seconds = 0.02
    watch.lap(cpu_seconds=1000.02)
    assert watch.pause_seconds == pytest.approx(0.001)
    gpu.joules = 1.0
    watch.lap(cpu_seconds=1000.03)
    assert watch.pause_seconds is None

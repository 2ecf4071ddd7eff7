from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.hardware import FakeCard, FakeNvml, Machine
from greenfront.errors import MeterError
from greenfront.objectives.metering.idle import measure_idle, stated_idle
from greenfront.objectives.metering.meter import IdlePower

THREADS = os.cpu_count() or 1


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "powercap")
    machine.add("intel-rapl:0", "package-0")
    return machine


def passing(machine: Machine, watts: list[float], busy_share: float) -> Callable[[float], None]:
    """Lets time pass on the machine: each slice with its own power."""
    left = iter(watts)

    def sleep(seconds: float) -> None:
        machine.run(
            round(next(left) * seconds * 1e6), busy=busy_share * seconds * THREADS, wall=seconds
        )

    return sleep


def test_idle_power_is_the_mean_with_its_spread(machine: Machine) -> None:
    found = measure_idle(
        [machine.meter()],
        machine_seconds=lambda: machine.busy_seconds,
        sleep=passing(machine, [10, 12, 9, 11, 13], 0.02),
    )
    assert found == {"cpu": IdlePower(pytest.approx(11), pytest.approx(9), pytest.approx(13))}
    assert machine.wall_seconds == pytest.approx(60)  # ten seconds of it


def test_a_busy_machine_is_refused(machine: Machine) -> None:
    with pytest.raises(MeterError, match=r"idles for 10 s, but others used 43% .*idle_watts"):
        measure_idle(
            [machine.meter()],
            machine_seconds=lambda: machine.busy_seconds,
            sleep=passing(machine, [50] * 5, 0.43),
        )


def test_idle_power_of_cards_is_that_of_one(machine: Machine) -> None:
    nvml = FakeNvml([FakeCard("GPU-a"), FakeCard("GPU-b")])
    found = measure_idle(
        [nvml.meter()],
        machine_seconds=lambda: machine.busy_seconds,
        sleep=lambda seconds: nvml.run(round(30_000 * seconds), seconds),
    )
    assert found["gpu"].watts == pytest.approx(30)


def test_a_busy_gpu_is_refused(machine: Machine) -> None:
    nvml = FakeNvml([FakeCard("GPU-a")])

    def sleep(seconds: float) -> None:
        nvml.run(50_000, seconds)
        nvml.cards[0].percent = 60

    with pytest.raises(MeterError, match=r"but a GPU worked; stop what runs"):
        measure_idle([nvml.meter()], machine_seconds=lambda: machine.busy_seconds, sleep=sleep)


def test_a_counter_that_falls_silent_is_refused(machine: Machine) -> None:
    def sleep(seconds: float) -> None:
        machine.wall_seconds += seconds
        (machine.root / "intel-rapl:0" / "energy_uj").unlink(missing_ok=True)

    with pytest.raises(MeterError, match=r"idle power of cpu: needs a counter that answers"):
        measure_idle([machine.meter()], machine_seconds=lambda: machine.busy_seconds, sleep=sleep)


def test_a_counter_that_begins_again_is_refused(machine: Machine) -> None:
    machine.run(150_000_000_000)

    def sleep(seconds: float) -> None:
        machine.spent_uj["intel-rapl:0"] = 1_000_000
        machine.run(round(10e6 * seconds), wall=seconds)

    with pytest.raises(MeterError, match=r"idle power of cpu: .* got 'counter began again"):
        measure_idle([machine.meter()], machine_seconds=lambda: machine.busy_seconds, sleep=sleep)


@pytest.mark.parametrize("watts", [-1.0, math.nan, math.inf])
def test_impossible_idle_watts_are_refused(watts: float) -> None:
    with pytest.raises(MeterError, match=r"idle_watts: .* 0 or more, got"):
        stated_idle(watts)


def test_stated_idle_power_is_believed() -> None:
    assert stated_idle(12.5) == IdlePower(12.5, 12.5, 12.5)

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pytest

from greenfront.errors import GreenfrontError
from greenfront.objectives.context import LocalContext, TrialContext, Window, synchronize
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.meter import Meter, Snapshot
from greenfront.objectives.outcome import Sizing
from greenfront.objectives.readings import Component, Reading


class HandMeter(Meter):
    """A counter that the test turns; a window in which it stood still cannot be told."""

    kind = "measured"
    source = "by hand"
    resolution_seconds = 1.0

    def __init__(self, component: Component = "cpu") -> None:
        self.component = component
        self.joules = 100.0
        self.seconds = 5.0

    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
        return Snapshot(self.seconds, 2 * self.seconds, None, self.joules)

    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        assert before.counter_joules is not None
        assert after.counter_joules is not None
        used = after.counter_joules - before.counter_joules
        wall = after.wall_seconds - before.wall_seconds
        cpu = after.cpu_seconds - before.cpu_seconds
        if used == 0:
            return Reading(None, None, None, "unavailable", self.source, cpu, wall)
        return Reading(used, used - 1, used + 1, self.kind, self.source, cpu, wall)


@pytest.fixture
def cpu() -> HandMeter:
    return HandMeter()


@pytest.fixture
def context(cpu: HandMeter) -> LocalContext:
    return LocalContext(Instruments((cpu,)))


def spend(meter: HandMeter, joules: float, seconds: float) -> None:
    meter.joules += joules
    meter.seconds += seconds


def test_a_window_holds_what_was_spent_in_it(context: LocalContext, cpu: HandMeter) -> None:
    spend(cpu, 1000, 50)  # before
    with context.phase("train") as first:
        spend(cpu, 7, 3)
    spend(cpu, 500, 20)  # between
    with context.phase("prune") as second:
        spend(cpu, 11, 2)
    assert (first.phase, second.phase) == ("train", "prune")
    assert first.readings == {"cpu": Reading(7, 6, 8, "measured", "by hand", 6, 3)}
    assert first.total == first.readings["cpu"]
    assert second.total == Reading(11, 10, 12, "measured", "by hand", 4, 2)


def test_an_open_window_has_no_total(context: LocalContext, cpu: HandMeter) -> None:
    with context.phase("train") as window:
        spend(cpu, 7, 3)
        with pytest.raises(GreenfrontError, match=r"'train' has no reading: it is still open"):
            _ = window.total


def test_a_window_too_short_for_the_counter_has_no_reading(
    context: LocalContext, cpu: HandMeter
) -> None:
    with context.phase("blink") as blink:
        cpu.seconds += 0.001
    assert blink.readings == {}
    with pytest.raises(GreenfrontError, match="too short for the instruments"):
        _ = blink.total


def test_a_short_window_waits_for_a_fine_counter(
    context: LocalContext, cpu: HandMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu.resolution_seconds = 0.02
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        spend(cpu, 3.0 if len(slept) == 4 else 0.0, seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    with context.phase("blink") as blink:
        cpu.seconds += 0.001
    assert slept == [pytest.approx(0.001)] * 4
    assert blink.total.joules == 3
    assert blink.total.wall_seconds == pytest.approx(0.005)


def test_components_run_side_by_side() -> None:
    cpu, gpu = HandMeter(), HandMeter("gpu")
    context = LocalContext(Instruments((cpu, gpu)))
    with context.phase("train") as window:
        spend(cpu, 7, 3)
        spend(gpu, 20, 3)
    assert set(window.readings) == {"cpu", "gpu"}
    assert window.total == Reading(27, 25, 29, "measured", "by hand", 6, 3)


def test_a_component_that_cannot_tell_is_left_out() -> None:
    cpu, gpu = HandMeter(), HandMeter("gpu")
    context = LocalContext(Instruments((cpu, gpu)))
    with context.phase("train") as window:
        spend(cpu, 7, 3)
        gpu.seconds += 3
    assert set(window.readings) == {"cpu"}
    assert window.total.joules == 7


def test_the_next_window_is_not_charged_for_a_failed_one(
    context: LocalContext, cpu: HandMeter
) -> None:
    def fail() -> None:
        with context.phase("train"):
            spend(cpu, 1000, 50)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with context.phase("train") as window:
        spend(cpu, 7, 3)
    assert window.total.joules == 7


@pytest.mark.parametrize("kind", ["null", "local"])
def test_nothing_stops_it_without_a_search(kind: str, context: LocalContext) -> None:
    told: TrialContext = TrialContext() if kind == "null" else context
    dear = Reading(9e9, 9e9, 9e9, "measured", "s", 0, 0)
    told.charge("train", {"cpu": dear}, 0.0, 1.0)
    told.progress("epoch 1 of 2")
    told.hold(lambda seconds: pytest.fail("it was made to rest"))
    assert told.size_verdict(Sizing(0, 0, 0, dear, 9e9)) is None
    assert told.dominated((0.0, 9e9)) is None
    assert not told.stopping
    assert (told.fidelity, told.checkpoint, told.charged_kwh) == (None, None, 0.0)


def test_windows_are_told_apart() -> None:
    first, second = Window("train"), Window("train")
    first.readings["cpu"] = Reading(1, 1, 1, "measured", "s", 0, 0)
    assert second.readings == {}


def test_windows_nest(context: LocalContext, cpu: HandMeter) -> None:
    with context.phase("train") as outer:
        spend(cpu, 7, 3)
        with context.phase("teacher") as inner:
            spend(cpu, 100, 10)
        with context.phase("check") as short:
            pass
        spend(cpu, 2, 1)
    assert inner.total.joules == 100
    assert short.readings == {}
    assert (outer.total.joules, outer.total.wall_seconds) == (109, 14)
    with context.phase("prune") as after:
        spend(cpu, 5, 1)
    assert after.total.joules == 5


def test_an_inner_failure_leaves_the_outer_window_whole(
    context: LocalContext, cpu: HandMeter
) -> None:
    def fail() -> None:
        with context.phase("teacher"), context.phase("export"):
            spend(cpu, 100, 10)
            raise ZeroDivisionError

    with context.phase("train") as outer:
        with pytest.raises(ZeroDivisionError):
            fail()
        spend(cpu, 2, 1)
    assert outer.total.joules == 102


def test_a_window_has_its_reading_once_it_is_closed(context: LocalContext, cpu: HandMeter) -> None:
    with context.phase("train") as outer:
        assert outer.readings == {}
        with pytest.raises(GreenfrontError, match="'train' has no reading: it is still open"):
            _ = outer.total
        with context.phase("warm up") as inner:
            spend(cpu, 7, 3)
            assert inner.readings == {}
        assert inner.total.joules == 7
        spend(cpu, 2, 1)
    assert outer.total.joules == 9


def test_a_window_whose_counter_stood_still_for_long_is_unknown_and_not_cheap() -> None:
    cpu, gpu = HandMeter(), HandMeter("gpu")
    context = LocalContext(Instruments((cpu, gpu)))
    with context.phase("train") as window:
        spend(cpu, 7, 3)
        gpu.seconds += 100
    assert window.readings["gpu"].kind == "unavailable"
    assert (window.total.joules, window.total.kind) == (None, "unavailable")


def test_the_gpu_is_waited_for_at_both_ends(
    cpu: HandMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    class Cuda:
        def is_initialized(self) -> bool:
            return True

        def device_count(self) -> int:
            return 2

        def synchronize(self, device: int) -> None:
            waited.append(device)
            cpu.joules += 50  # what was queued

    context = LocalContext(Instruments((cpu,)))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=Cuda()))
    with context.phase("train") as window:
        assert waited == [0, 1]
        spend(cpu, 7, 3)
    assert waited == [0, 1, 0, 1]
    assert window.total.joules == 107


def test_without_cuda_nothing_is_waited_for_or_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    synchronize()
    assert "torch" not in sys.modules

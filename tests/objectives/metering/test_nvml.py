from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from contracts.hardware import FakeCard, FakeNvml
from contracts.meters import MeterContract, joules
from contracts.waiting import PATIENCE_SECONDS
from greenfront.errors import MeterError
from greenfront.objectives.metering import nvml as nvml_module
from greenfront.objectives.metering.meter import IdlePower, Snapshot
from greenfront.objectives.metering.nvml import WHOLE_CARD, CardMeter, NvmlMeter, NvmlPowerMeter
from greenfront.objectives.metering.polling import watch_resolution


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    return FakeNvml([FakeCard("GPU-aa11"), FakeCard("GPU-ab22"), FakeCard("GPU-cc33")])


def meter_of(nvml: FakeNvml) -> NvmlMeter:
    return nvml.meter()


def power_meter_of(nvml: FakeNvml) -> NvmlPowerMeter:
    return NvmlPowerMeter(nvml, every_seconds=None, clock_seconds=lambda: nvml.wall_seconds)


def burn() -> None:
    until = time.process_time() + 0.02
    while time.process_time() < until:
        pass


class TestNvmlMeter(MeterContract):
    @pytest.fixture
    def meter(self, nvml: FakeNvml) -> NvmlMeter:
        self.nvml = nvml
        return meter_of(nvml)

    def work(self, joules_wanted: float) -> None:
        burn()
        self.nvml.run(round(joules_wanted * 1000), joules_wanted)


class TestNvmlMeterAboveIdle(TestNvmlMeter):
    @pytest.fixture
    def meter(self, nvml: FakeNvml) -> NvmlMeter:
        self.nvml = nvml
        return nvml.meter(idle=0.5)


class TestNvmlPowerMeter(MeterContract):
    @pytest.fixture
    def meter(self, nvml: FakeNvml) -> NvmlPowerMeter:
        self.nvml = nvml
        return power_meter_of(nvml)

    def work(self, joules_wanted: float) -> None:
        burn()
        self.nvml.run(0, joules_wanted)


def test_joules_are_those_of_all_visible_cards(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    before = meter.snapshot(os.getpid())
    nvml.run(20_500, 2.0)
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert joules(reading) == pytest.approx(61.5, rel=1e-12)
    assert reading.flags == ("whole card: whatever else ran on it is in here",)
    assert meter.source == "NVML total energy counter (whole card) of NVIDIA A100"


def test_the_band_is_the_age_of_the_counter_at_the_edges(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    reading = meter.reading(Snapshot(0.0, 0.0, None, 10.0), Snapshot(4.0, 0.0, None, 810.0))
    # A tenth of a second of 200 W at the edges, and 5 % of the sensor.
    assert (reading.low_joules, reading.joules, reading.high_joules) == (740, 800, 860)
    short = meter.reading(Snapshot(0.0, 0.0, None, 10.0), Snapshot(0.05, 0.0, None, 20.0))
    assert (short.low_joules, short.joules, short.high_joules) == (0, 10, 20.5)


def test_idle_energy_is_kept_apart(nvml: FakeNvml) -> None:
    """Three cards, 50 W each."""
    meter = nvml.meter(idle=50)
    reading = meter.reading(Snapshot(0.0, 0.0, None, 10.0), Snapshot(4.0, 0.0, None, 810.0))
    assert (reading.joules, reading.reserved_joules) == (200, 600)
    assert meter.source.endswith("of NVIDIA A100, minus its idle power")


@pytest.mark.parametrize("make", [meter_of, power_meter_of])
def test_one_card_is_metered_and_what_others_draw_is_not_charged(
    nvml: FakeNvml, make: Callable[[FakeNvml], CardMeter]
) -> None:
    every = make(nvml)
    every.idle = IdlePower(20, 20, 20)
    meter = every.of_card("GPU-ab22")
    before = meter.snapshot(os.getpid())
    nvml.cards[0].mj = 900_000_000  # others work
    nvml.cards[2].instant_mw = 400_000
    nvml.run(50_000, 1.0)
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert (reading.joules, reading.reserved_joules) == (30, 20)
    assert meter.uuids == ("GPU-ab22",)
    assert meter.resolution_seconds == every.resolution_seconds


def test_the_resolution_is_that_of_the_slowest_card(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refreshing(FakeNvml):
        def nvmlDeviceGetTotalEnergyConsumption(self, handle: FakeCard) -> int:  # noqa: N802
            period = 0.03 if handle.uuid == "GPU-ab22" else 0.002
            return int(self.wall_seconds / period)

    cards = Refreshing(nvml.cards)
    clocks = {"clock_seconds": lambda: cards.wall_seconds, "sleep": partial(cards.run, 0)}
    monkeypatch.setattr(nvml_module, "watch_resolution", partial(watch_resolution, **clocks))
    assert NvmlMeter(cards).resolution_seconds == pytest.approx(0.03, abs=0.001)


def test_a_counter_that_stands_still_from_the_start_is_refused(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvml_module, "_WATCHED_SECONDS", 0.01)
    with pytest.raises(MeterError, match=r"GPU-aa11: needs an energy counter that moves.*; choose"):
        NvmlMeter(nvml)


def test_a_window_without_a_refresh_is_unavailable(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    before = meter.snapshot(os.getpid())
    nvml.run(0, 0.01)
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert (reading.joules, reading.kind) == (None, "unavailable")
    assert "counter did not move" in reading.flags


def test_a_counter_that_starts_again_gives_no_number(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    reading = meter.reading(Snapshot(0.0, 0.0, None, 50.0), Snapshot(1.0, 0.0, None, 3.0))
    assert (reading.joules, reading.kind) == (None, "unavailable")
    assert reading.flags == ("counter fell: its driver was loaded again", WHOLE_CARD)


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        ("0,2", ["GPU-aa11", "GPU-cc33"]),
        ("2, 1", ["GPU-cc33", "GPU-ab22"]),
        ("GPU-ab22", ["GPU-ab22"]),
        ("GPU-c,0", ["GPU-cc33", "GPU-aa11"]),
        ("1,-1,0", ["GPU-ab22"]),
        ("GPU-aa11,GPU-cc33", ["GPU-aa11", "GPU-cc33"]),
        (" 1 ,", ["GPU-ab22"]),
    ],
)
def test_only_visible_cards_count(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch, visible: str, uuids: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert list(meter_of(nvml).uuids) == uuids


@pytest.mark.parametrize(
    ("visible", "message"),
    [
        ("3", "got '3', which names 0 of 3"),
        ("GPU-a", "got 'GPU-a', which names 2 of 3"),
        ("GPU-zz", "names 0 of 3; 'nvidia-smi -L'"),
        ("MIG-aa11", "MIG instance 'MIG-aa11'"),
        ("", "needs a visible GPU, found 3"),
        ("-1", "needs a visible GPU, found 3"),
        (",", "needs a visible GPU, found 3"),
        ("0,0", "must name each GPU once, got '0,0'"),
        ("0,GPU-aa11", "must name each GPU once"),
        ("MIG-GPU-aa11/1/0", "MIG instance"),
        ("all", "got 'all', which names 0 of 3"),
    ],
)
def test_a_name_of_no_single_card_is_refused(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch, visible: str, message: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(MeterError, match=message):
        meter_of(nvml)


def test_numbers_of_different_cards_need_the_order_of_the_bus(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml.cards[1].name = "NVIDIA H200"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(MeterError, match="CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        meter_of(nvml)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa11,GPU-ab22")
    with pytest.raises(MeterError, match=r"of one model, .* got NVIDIA A100, NVIDIA H200; name"):
        meter_of(nvml)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert meter_of(nvml).source.endswith("of NVIDIA H200")


def test_a_split_card_is_refused(nvml: FakeNvml) -> None:
    nvml.cards[1].mig = 1
    with pytest.raises(MeterError, match=r"GPU GPU-ab22: must not be split by MIG"):
        meter_of(nvml)


def test_a_card_that_knows_no_mig_is_fine(nvml: FakeNvml) -> None:
    nvml.cards[1].mig = None
    assert len(meter_of(nvml).uuids) == 3


def test_a_card_without_the_counter_is_refused(nvml: FakeNvml) -> None:
    nvml.cards[2].mj = None
    with pytest.raises(MeterError, match=r"GPU GPU-cc33: needs a total energy counter \(Volta"):
        meter_of(nvml)


@pytest.mark.parametrize("make", [meter_of, power_meter_of])
def test_a_card_that_vanishes_gives_no_number_and_says_why(
    nvml: FakeNvml, make: type[NvmlMeter]
) -> None:
    meter = make(nvml)
    before = meter.snapshot(os.getpid())
    nvml.run(5_000, 0.5)
    nvml.cards[1].lost = True
    gone = meter.snapshot(os.getpid())
    for edges in ((before, gone), (gone, gone)):
        reading = meter.reading(*edges)
        assert (reading.joules, reading.kind) == (None, "unavailable")
        assert any("GPU-ab22" in flag and "GPU is lost" in flag for flag in reading.flags)


def test_heat_and_the_power_limit_are_told_apart(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    before = meter.snapshot(os.getpid())
    nvml.run(5_000, 2.0)
    nvml.cards[0].cap_ns = 1_000_000_000
    capped = meter.snapshot(os.getpid())
    nvml.run(5_000, 2.0)
    nvml.cards[2].heat_ns = 500_000_000
    hot = meter.snapshot(os.getpid())
    first, second = meter.reading(before, capped), meter.reading(capped, hot)
    assert first.flags == ("slowed down by its power limit", WHOLE_CARD)
    assert first.throttled_seconds == 0
    assert second.flags == ("slowed down by heat", WHOLE_CARD)
    assert second.throttled_seconds == 0.5


def test_without_counted_times_a_card_is_looked_at(nvml: FakeNvml) -> None:
    for card in nvml.cards:
        card.heat_ns = None
    meter = meter_of(nvml)
    before = meter.snapshot(os.getpid())
    nvml.run(5_000, 2.0)
    nvml.cards[0].reasons = 0x4  # a power limit
    capped = meter.snapshot(os.getpid())
    nvml.run(5_000, 2.0)
    nvml.cards[0].reasons = 0x20  # heat
    hot = meter.snapshot(os.getpid())
    assert meter.reading(before, capped).flags == (WHOLE_CARD,)
    assert "slowed down by heat" in meter.reading(capped, hot).flags


def test_a_card_that_tells_nothing_of_heat_is_fine(nvml: FakeNvml) -> None:
    for card in nvml.cards:
        card.heat_ns = card.reasons = None
    meter = meter_of(nvml)
    before = meter.snapshot(os.getpid())
    assert before.slowdown is None
    nvml.run(5_000, 2.0)
    assert meter.reading(before, meter.snapshot(os.getpid())).flags == (WHOLE_CARD,)


def test_power_is_integrated_where_there_is_no_counter(nvml: FakeNvml) -> None:
    for card in nvml.cards:
        card.mj = None
    meter = power_meter_of(nvml)
    before = meter.snapshot(os.getpid())
    for instant_mw in (100_000, 200_000):
        nvml.run(0, 0.5)
        nvml.cards[0].instant_mw = instant_mw
        meter._look()
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    # 150 W, then 200 W, then 300 W in all, joined by straight lines.
    assert joules(reading) == pytest.approx(0.5 * (150 + 200) / 2 + 0.5 * (200 + 300) / 2)
    assert meter.source == "NVML instant power, integrated (whole card), of NVIDIA A100"
    assert meter.kind == "measured"


def test_averaged_power_is_called_so_and_is_coarser(nvml: FakeNvml) -> None:
    nvml.cards[1].instant_mw = None
    nvml.cards[1].mw = 80_000
    meter = power_meter_of(nvml)
    before = meter.snapshot(os.getpid())
    nvml.run(0, 0.5)
    assert joules(meter.reading(before, meter.snapshot(os.getpid()))) == pytest.approx(0.5 * 180)
    assert "power averaged over up to 1 s, integrated" in meter.source
    assert meter.resolution_seconds == 1.0


def test_a_pause_in_sampling_gives_no_number(nvml: FakeNvml) -> None:
    meter = power_meter_of(nvml)
    before = meter.snapshot(os.getpid())
    nvml.run(0, 1.5)
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert (reading.joules, reading.kind) == (None, "unavailable")
    assert "power was not sampled for a while" in reading.flags


def test_power_is_sampled_by_a_thread(nvml: FakeNvml) -> None:
    sampled = threading.Semaphore(0)

    class Sampled(FakeNvml):
        def nvmlDeviceGetFieldValues(  # noqa: N802
            self, handle: FakeCard, fields: Sequence[int]
        ) -> Any:
            sampled.release()
            return super().nvmlDeviceGetFieldValues(handle, fields)

    def twice() -> None:
        """Waits for two samples, of which at least one is whole."""
        while sampled.acquire(blocking=False):
            pass
        assert all(sampled.acquire(timeout=PATIENCE_SECONDS) for _ in range(2 * len(nvml.cards)))

    watched = Sampled(nvml.cards)
    meter = NvmlPowerMeter(watched, every_seconds=0.001, clock_seconds=lambda: watched.wall_seconds)
    before = meter.snapshot(os.getpid())
    nvml.cards[0].instant_mw = 1_000_000
    twice()
    watched.run(0, 0.5)
    twice()
    nvml.cards[0].instant_mw = 50_000
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert joules(reading) == pytest.approx(1100 * 0.5)  # the edges alone would tell 150 W


def test_a_card_without_a_power_sensor_is_refused(nvml: FakeNvml) -> None:
    nvml.cards[0].mw = nvml.cards[0].instant_mw = None
    with pytest.raises(MeterError, match="GPU-aa11: needs a sensor of its power"):
        power_meter_of(nvml)


def test_a_card_at_work_is_busy(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    assert not meter.busy
    nvml.cards[1].percent = 80
    assert meter.busy
    nvml.cards[0].percent = None
    assert not meter.busy  # nobody can tell


def test_idle_power_with_a_spread_widens_the_band(nvml: FakeNvml) -> None:
    meter = NvmlMeter(nvml, IdlePower(50, 40, 70), uuid="GPU-aa11", resolution_seconds=0.1)
    reading = meter.reading(Snapshot(0.0, 0.0, None, 10.0), Snapshot(4.0, 0.0, None, 810.0))
    assert (reading.low_joules, reading.high_joules) == (740 - 280, 860 - 160)


def test_no_driver_is_told_with_the_way_out(nvml: FakeNvml) -> None:
    nvml.driver = False
    with pytest.raises(MeterError, match=r"got 'Driver Not Loaded'; check it with 'nvidia-smi'"):
        meter_of(nvml)


def test_no_card_is_told(nvml: FakeNvml) -> None:
    nvml.cards.clear()
    with pytest.raises(MeterError, match="needs a visible GPU, found 0"):
        meter_of(nvml)

# ruff: noqa: N802 - the names are those of NVML
from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

import pytest

from contracts.meters import MeterContract, joules
from greenfront.errors import MeterError
from greenfront.objectives.metering.meter import Snapshot
from greenfront.objectives.metering.nvml import NvmlMeter


class FakeError(Exception):
    pass


@dataclass
class Card:
    uuid: str
    name: str = "NVIDIA A100"
    mj: int | None = 1_000_000
    mig: int | None = 0


@dataclass
class FakeNvml:
    """Behaves like the module ``pynvml`` on a machine with the given cards."""

    cards: list[Card] = field(default_factory=list)
    driver: bool = True
    wall_seconds: float = 0.0
    NVMLError: type[Exception] = FakeError

    def nvmlInit(self) -> None:
        if not self.driver:
            raise FakeError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        return self.cards[index]

    def nvmlDeviceGetUUID(self, handle: Card) -> str:
        return handle.uuid

    def nvmlDeviceGetName(self, handle: Card) -> str:
        return handle.name

    def nvmlDeviceGetMigMode(self, handle: Card) -> list[int]:
        if handle.mig is None:
            raise FakeError("Not Supported")
        return [handle.mig, handle.mig]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Card) -> int:
        if handle.mj is None:
            raise FakeError("Not Supported")
        return handle.mj

    def run(self, mj: int, wall_seconds: float) -> None:
        for card in self.cards:
            assert card.mj is not None
            card.mj += mj
        self.wall_seconds += wall_seconds


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    return FakeNvml([Card("GPU-aa11"), Card("GPU-ab22"), Card("GPU-cc33")])


def meter_of(nvml: FakeNvml) -> NvmlMeter:
    return NvmlMeter(nvml, clock_seconds=lambda: nvml.wall_seconds)


class TestNvmlMeter(MeterContract):
    @pytest.fixture
    def meter(self, nvml: FakeNvml) -> NvmlMeter:
        self.nvml = nvml
        return meter_of(nvml)

    def work(self, joules_wanted: float) -> None:
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass
        self.nvml.run(round(joules_wanted * 1000), joules_wanted)


def test_joules_are_those_of_all_visible_cards(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    before = meter.snapshot(os.getpid())
    nvml.run(20_500, 2.0)
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert joules(reading) == pytest.approx(61.5, rel=1e-12)
    assert reading.flags == ("whole card: whatever else ran on it is in here",)
    assert meter.source == "NVML total energy counter (whole card) of 3 × NVIDIA A100"


def test_the_band_is_the_age_of_the_counter_at_the_edges(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    assert meter.resolution_seconds == 0.1
    reading = meter.reading(Snapshot(0.0, 0.0, None, 10.0), Snapshot(4.0, 0.0, None, 810.0))
    assert (reading.low_joules, reading.joules, reading.high_joules) == (780, 800, 820)
    short = meter.reading(Snapshot(0.0, 0.0, None, 10.0), Snapshot(0.05, 0.0, None, 20.0))
    assert (short.low_joules, short.joules, short.high_joules) == (0, 10, 30)


def test_a_window_without_a_refresh_is_unavailable(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    before = meter.snapshot(os.getpid())
    nvml.run(0, 0.01)
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert (reading.joules, reading.kind) == (None, "unavailable")
    assert "counter did not move" in reading.flags


def test_a_counter_that_starts_again_is_clamped_and_flagged(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    reading = meter.reading(Snapshot(0.0, 0.0, None, 50.0), Snapshot(1.0, 0.0, None, 3.0))
    assert reading.joules == 0
    assert "energy counter fell and was clamped to 0" in reading.flags


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        ("0,2", ["GPU-aa11", "GPU-cc33"]),
        ("2, 1", ["GPU-cc33", "GPU-ab22"]),
        ("GPU-ab22", ["GPU-ab22"]),
        ("GPU-c,0", ["GPU-cc33", "GPU-aa11"]),
        ("1,-1,0", ["GPU-ab22"]),
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
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert meter_of(nvml).source.endswith("of 1 × NVIDIA H200")


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


def test_a_card_that_stops_answering_is_told(nvml: FakeNvml) -> None:
    meter = meter_of(nvml)
    nvml.cards[0].mj = None
    with pytest.raises(MeterError, match="GPU-aa11"):
        meter.snapshot(os.getpid())


def test_no_driver_is_told_with_the_way_out(nvml: FakeNvml) -> None:
    nvml.driver = False
    with pytest.raises(MeterError, match=r"got 'Driver Not Loaded'; check it with 'nvidia-smi'"):
        meter_of(nvml)


def test_no_card_is_told(nvml: FakeNvml) -> None:
    nvml.cards.clear()
    with pytest.raises(MeterError, match="needs a visible GPU, found 0"):
        meter_of(nvml)

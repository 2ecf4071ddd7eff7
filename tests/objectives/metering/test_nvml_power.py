"""A card's energy counter beside its instant power."""

from __future__ import annotations

import os
from functools import partial

import pytest

from contracts.hardware import FakeCard, FakeNvml
from greenfront.objectives.metering import nvml as nvml_module
from greenfront.objectives.metering.crosscheck import cross_check_card
from greenfront.objectives.metering.meter import Integral, Snapshot
from greenfront.objectives.metering.nvml import NvmlMeter
from greenfront.objectives.metering.nvml_cards import visible_cards
from greenfront.objectives.metering.nvml_power import (
    DISAGREES,
    InstantPower,
    compared,
)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    # A test samples by itself, at the moments that it chooses.
    monkeypatch.setattr(nvml_module, "poll", lambda _method, _every_seconds: None)
    return FakeNvml([FakeCard("GPU-a", mw=999_000)])


def sampled(nvml: FakeNvml) -> InstantPower:
    return InstantPower(nvml, visible_cards(nvml), lambda: nvml.wall_seconds)


def test_the_integral_joins_samples_by_straight_lines(nvml: FakeNvml) -> None:
    power = sampled(nvml)
    nvml.run(0, 0.5)
    nvml.cards[0].instant_mw = 150_000
    power.so_far()
    nvml.run(0, 0.25)
    assert power.so_far() == Integral(0.5 * 100 + 0.25 * 150, 0)


@pytest.mark.parametrize("instant_mw", [100_000, 109_000, 91_000])
def test_a_counter_that_agrees_says_nothing(nvml: FakeNvml, instant_mw: int) -> None:
    nvml.cards[0].instant_mw = instant_mw
    assert DISAGREES not in flags_of(nvml)


@pytest.mark.parametrize("instant_mw", [150_000, 60_000])
def test_a_counter_that_is_off_is_flagged_and_keeps_its_joules(
    nvml: FakeNvml, instant_mw: int
) -> None:
    nvml.cards[0].instant_mw = instant_mw
    assert DISAGREES in flags_of(nvml)


def flags_of(nvml: FakeNvml) -> tuple[str, ...]:
    """Of four seconds at 100 W, by the counter."""
    meter = nvml.meter().of_card("GPU-a")
    before = meter.snapshot(os.getpid())
    for _ in range(8):
        nvml.run(50_000, 0.5)
        meter.snapshot(os.getpid())
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert reading.joules == 400
    return reading.flags


def test_what_was_not_sampled_all_the_time_is_not_compared(nvml: FakeNvml) -> None:
    nvml.cards[0].instant_mw = 900_000
    meter = nvml.meter().of_card("GPU-a")
    before = meter.snapshot(os.getpid())
    nvml.run(200_000, 2.0)
    after = meter.snapshot(os.getpid())
    assert after.power is not None
    assert after.power.gaps == 1
    assert meter.compared(before, after) is None
    nvml.run(50_000, 0.5)  # nor what is short
    assert meter.compared(after, meter.snapshot(os.getpid())) is None


def test_a_card_that_tells_no_instant_power_is_compared_with_nothing(nvml: FakeNvml) -> None:
    """Never with its averaged power."""
    nvml.cards[0].instant_mw = None
    meter = nvml.meter().of_card("GPU-a")
    assert meter.snapshot(os.getpid()).power is None
    assert DISAGREES not in flags_of(nvml)
    assert cross_check_card(meter, 1.0, partial(nvml.run, 100_000)) is None


def test_a_card_that_stops_telling_is_a_gap(nvml: FakeNvml) -> None:
    power = sampled(nvml)
    nvml.cards[0].instant_mw = None
    nvml.run(0, 0.5)
    assert power.so_far() == Integral(0.0, 1)
    nvml.cards[0].instant_mw = 50_000
    nvml.run(0, 0.5)
    assert power.so_far() == Integral(0.0, 2)
    nvml.run(0, 0.5)
    assert power.so_far() == Integral(25.0, 2)


def test_the_edges_of_a_window_count_as_unsure() -> None:
    before = Snapshot(0.0, 0.0, counter_joules=0.0, power=Integral(0.0, 0))
    after = Snapshot(2.0, 0.0, counter_joules=200.0, power=Integral(240.0, 0))
    found = compared(before, after, 0.1)
    assert found is not None
    assert found.share == pytest.approx(0.2)
    assert found.allowed_share == pytest.approx(0.1 + 0.2 / 2)


def test_a_card_is_watched_whatever_it_does(nvml: FakeNvml) -> None:
    found = cross_check_card(nvml.meter(), 1.0, partial(nvml.run, 100_000))
    assert found is not None
    assert (found.wall_seconds, found.counter_joules, found.power_joules) == (1, 100, 50)
    assert not found.agree


def test_all_cards_together_are_compared_with_nothing(nvml: FakeNvml) -> None:
    """They are what evaluators choose from; each is compared where it is metered."""
    meter: NvmlMeter = nvml.meter()
    assert meter.snapshot(os.getpid()).power is None

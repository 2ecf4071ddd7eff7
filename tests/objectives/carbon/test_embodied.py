from __future__ import annotations

import math

import pytest

from greenfront.errors import UsageError
from greenfront.objectives.carbon.embodied import DEVICES, Embodied, embodied_default
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity


@pytest.mark.parametrize(
    ("device", "g_per_hour"),
    [("laptop", 5.0), ("server", 23.0), ("gpu", 4.7), ("workstation", 8.6)],
)
def test_grams_for_each_hour_of_the_life(device: str, g_per_hour: float) -> None:
    found = embodied_default(device)
    assert found.kg_per_device_hour * 1000 == pytest.approx(g_per_hour, abs=0.05)


def test_a_whole_life_of_busy_hours_adds_up_to_the_device() -> None:
    server = embodied_default("server")
    model = CarbonModel(
        Intensity(0, "HERE", "test"), embodied_kg_per_device_hour=server.kg_per_device_hour
    )
    assert model.co2_kg(1.0, server.life_hours) == pytest.approx(806)


def test_every_default_says_that_it_is_no_measurement() -> None:
    for entry in DEVICES.values():
        assert "order of magnitude" in entry.source
        assert entry.source.startswith(("modelled", "assumed"))


def test_an_own_figure_and_a_shorter_life() -> None:
    assert Embodied("mine", 100.0, "its maker", life_hours=1000.0).kg_per_device_hour == 0.1


def test_an_unknown_device_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"device: must be one of laptop, .*, got 'phone'"):
        embodied_default("phone")


@pytest.mark.parametrize("total_kg", [-1.0, math.nan, math.inf])
def test_impossible_emissions_are_refused(total_kg: float) -> None:
    with pytest.raises(UsageError, match=r"total_kg must be .* got"):
        Embodied("mine", total_kg, "nobody")


@pytest.mark.parametrize("life_hours", [0.0, -1.0, math.nan])
def test_an_impossible_life_is_refused(life_hours: float) -> None:
    with pytest.raises(UsageError, match=r"life_hours must be .* got"):
        Embodied("mine", 1.0, "nobody", life_hours)

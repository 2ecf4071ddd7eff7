from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.errors import UsageError
from greenfront.objectives.carbon.embodied import embodied_default
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.readings import Reading

amounts = st.floats(0, 1e6)
HALF_A_KILO = Intensity(500.0, "HERE", "test")
NONE = Intensity(0.0, "HERE", "test")


def models() -> st.SearchStrategy[CarbonModel]:
    return st.builds(
        CarbonModel,
        intensity=st.floats(0, 2000).map(lambda grams: Intensity(grams, "HERE", "test")),
        pue=st.floats(1, 3),
        embodied_kg_per_device_hour=st.floats(0, 1),
    )


def test_closed_form() -> None:
    model = CarbonModel(HALF_A_KILO, pue=1.5, embodied_kg_per_device_hour=0.023)
    # E · I · PUE + M = 2 kWh · 0.5 kg/kWh · 1.5 + 0.023 kg/h · 10 h
    assert model.co2_kg(2.0, 10.0) == pytest.approx(1.73, rel=1e-12)


@given(models(), amounts, amounts, amounts, amounts)
def test_footprints_of_two_works_add_up(
    model: CarbonModel, energy: float, hours: float, more_energy: float, more_hours: float
) -> None:
    together = model.co2_kg(energy + more_energy, hours + more_hours)
    apart = model.co2_kg(energy, hours) + model.co2_kg(more_energy, more_hours)
    assert together == pytest.approx(apart, rel=1e-9, abs=1e-12)


@given(models(), amounts, amounts, st.floats(0, 1000))
def test_footprints_scale(model: CarbonModel, energy: float, hours: float, times: float) -> None:
    assert model.co2_kg(times * energy, times * hours) == pytest.approx(
        times * model.co2_kg(energy, hours), rel=1e-9, abs=1e-12
    )


@given(models(), amounts, amounts)
def test_hours_matter_only_with_an_embodied_share(
    model: CarbonModel, energy: float, hours: float
) -> None:
    if model.proportional_to_energy:
        assert model.co2_kg(energy, hours) == model.co2_kg(energy, 0)
    assert model.co2_kg(energy, hours) >= model.co2_kg(energy, 0)


def test_proportional_exactly_when_nothing_is_embodied() -> None:
    assert CarbonModel(HALF_A_KILO, pue=1.2).proportional_to_energy
    assert not CarbonModel(HALF_A_KILO, embodied_kg_per_device_hour=0.001).proportional_to_energy


def test_nan_stays_nan() -> None:
    assert math.isnan(CarbonModel(HALF_A_KILO).co2_kg(math.nan))


@pytest.mark.parametrize("pue", [0.99, -1.0, math.nan, math.inf])
def test_an_impossible_pue_is_refused(pue: float) -> None:
    with pytest.raises(UsageError, match=r"pue: .* 1 or more .* got"):
        CarbonModel(HALF_A_KILO, pue=pue)


@pytest.mark.parametrize("embodied", [-0.1, math.nan, math.inf])
def test_an_impossible_embodied_share_is_refused(embodied: float) -> None:
    with pytest.raises(UsageError, match=r"embodied_kg_per_device_hour: .* 0 or more, got"):
        CarbonModel(HALF_A_KILO, embodied_kg_per_device_hour=embodied)


def test_embodied_carbon_follows_the_time_of_its_device() -> None:
    # An hour on the clock, with one of 16 threads busy.
    reading = Reading(1.0, 1.0, 1.0, "measured", "told", 3600.0, 3600.0)
    machine = CarbonModel(NONE, embodied_kg_per_device_hour=0.023, device_threads=16)
    gpu = embodied_default("gpu")
    card = CarbonModel(NONE, 1.0, gpu.kg_per_device_hour, 16, embodied_component=gpu.component)
    for model, cpu_kg, gpu_kg in ((machine, 0.023 / 16, 0.0), (card, 0.0, 164 / 35_040)):
        for component, kg in (("cpu", cpu_kg), ("gpu", gpu_kg), ("dram", 0.0)):
            hours = model.busy_hours(component, reading)  # type: ignore[arg-type]
            assert model.co2_kg(1.0, hours) == pytest.approx(kg)


def test_embodied_carbon_follows_the_share_of_the_device_that_is_busy() -> None:
    whole = CarbonModel(Intensity(0.0, "x", "y"), embodied_kg_per_device_hour=0.024)
    eighth = CarbonModel(
        Intensity(0.0, "x", "y"), embodied_kg_per_device_hour=0.024, device_threads=8
    )
    assert whole.co2_kg(1.0, 2.0) == pytest.approx(0.048)
    assert eighth.co2_kg(1.0, 2.0) == pytest.approx(0.006)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.errors import UsageError
from greenfront.objectives.carbon.units import (
    ENERGY_UNITS,
    INTENSITY_UNITS,
    from_g_per_kwh,
    from_kwh,
    to_g_per_kwh,
    to_kwh,
)

amounts = st.floats(0, 1e9)


@given(amounts, st.sampled_from(sorted(INTENSITY_UNITS)), st.sampled_from(sorted(INTENSITY_UNITS)))
def test_intensities_come_back_from_any_detour(value: float, unit: str, other: str) -> None:
    detour = from_g_per_kwh(to_g_per_kwh(value, unit), other)
    assert from_g_per_kwh(to_g_per_kwh(detour, other), unit) == pytest.approx(value, rel=1e-12)


@given(amounts, st.sampled_from(sorted(ENERGY_UNITS)), st.sampled_from(sorted(ENERGY_UNITS)))
def test_energies_come_back_from_any_detour(value: float, unit: str, other: str) -> None:
    detour = from_kwh(to_kwh(value, unit), other)
    assert from_kwh(to_kwh(detour, other), unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "unit", "g_per_kwh"),
    [(1000, "lbs/MWh", 453.59237), (500, "kg/MWh", 500), (0.5, "kg/kWh", 500), (7, "g/kWh", 7)],
)
def test_known_intensities(value: float, unit: str, g_per_kwh: float) -> None:
    assert to_g_per_kwh(value, unit) == pytest.approx(g_per_kwh, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "unit", "kwh"), [(3.6e6, "J", 1), (250, "Wh", 0.25), (2, "MWh", 2000), (3, "kWh", 3)]
)
def test_known_energies(value: float, unit: str, kwh: float) -> None:
    assert to_kwh(value, unit) == pytest.approx(kwh, rel=1e-12)


def test_an_unknown_unit_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unit: must be one of g/kWh, .*, got 'g/MWh'"):
        to_g_per_kwh(1, "g/MWh")
    with pytest.raises(UsageError, match=r"unit: must be one of kWh, .*, got 'cal'"):
        from_kwh(1, "cal")

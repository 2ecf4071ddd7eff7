from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.errors import UsageError
from greenfront.objectives.carbon.units import INTENSITY_UNITS, to_g_per_kwh


@given(st.floats(1e-9, 1e9), st.sampled_from(sorted(INTENSITY_UNITS)))
def test_intensities_grow_with_their_unit(value: float, unit: str) -> None:
    assert to_g_per_kwh(0, unit) == 0
    assert to_g_per_kwh(2 * value, unit) == 2 * to_g_per_kwh(value, unit)


@pytest.mark.parametrize(
    ("value", "unit", "g_per_kwh"),
    [(1000, "lbs/MWh", 453.59237), (500, "kg/MWh", 500), (0.5, "kg/kWh", 500), (7, "g/kWh", 7)],
)
def test_known_intensities(value: float, unit: str, g_per_kwh: float) -> None:
    assert to_g_per_kwh(value, unit) == pytest.approx(g_per_kwh, rel=1e-12)


def test_an_unknown_unit_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unit: must be one of g/kWh, .*, got 'g/MWh'"):
        to_g_per_kwh(1, "g/MWh")

"""Numbers for people: the right prefix, three digits, never a 0 for what is not known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.studies.analysis.words import quantities

UNITS: dict[str, tuple[Callable[[float | None], str], dict[str, float]]] = {
    "energy": (
        quantities.energy,
        {
            **{"nWh": 1e-12, "µWh": 1e-9, "mWh": 1e-6, "Wh": 1e-3},
            **{"kWh": 1.0, "MWh": 1e3, "GWh": 1e6},
        },
    ),
    "joules": (
        quantities.joules,
        {"nJ": 1e-9, "µJ": 1e-6, "mJ": 1e-3, "J": 1.0, "kJ": 1e3, "MJ": 1e6, "GJ": 1e9},
    ),
    "mass": (
        quantities.mass,
        {"ng": 1e-12, "µg": 1e-9, "mg": 1e-6, "g": 1e-3, "kg": 1.0, "t": 1e3, "kt": 1e6},
    ),
    "seconds": (
        quantities.seconds,
        {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0},
    ),
    "size": (quantities.size, {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}),
    "count": (quantities.count, {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}),
}

positive = st.floats(min_value=1e-15, max_value=1e15, allow_nan=False)


def parse(text: str, units: dict[str, float]) -> float:
    number, _, unit = text.partition(" ")
    return float(number.replace("−", "-")) * units[unit]


@pytest.mark.parametrize("name", UNITS)
@given(value=positive)
def test_reads_back_within_three_digits(name: str, value: float) -> None:
    show, units = UNITS[name]
    assert parse(show(value), units) == pytest.approx(value, rel=0.00501)


@pytest.mark.parametrize("name", UNITS)
@given(value=positive)
def test_sign_is_kept(name: str, value: float) -> None:
    show, _ = UNITS[name]
    assert show(-value) == "−" + show(value)


@pytest.mark.parametrize("name", UNITS)
@given(first=positive, ratio=st.floats(1.0, 1.1))
def test_larger_never_reads_smaller(name: str, first: float, ratio: float) -> None:
    show, units = UNITS[name]
    small, large = parse(show(first), units), parse(show(first * ratio), units)
    # Units of ten multiply back with errors in the last bit.
    assert small <= large * (1 + 1e-12)


@pytest.mark.parametrize("name", UNITS)
@given(value=st.floats(min_value=1e-9, max_value=1e15))
def test_three_figures_before_the_unit(name: str, value: float) -> None:
    show, units = UNITS[name]
    if min(units.values()) <= value < 999 * max(units.values()):
        number = show(value).partition(" ")[0]
        assert len(number.replace(".", "")) == 3 or number.isdigit()


@pytest.mark.parametrize("show", [show for show, _ in UNITS.values()] + [quantities.percent])
def test_unknown_is_a_dash_and_zero_is_a_number(show: Callable[[float | None], str]) -> None:
    assert show(None) == "–"
    assert show(math.nan) == "–"
    assert show(0).startswith("0")
    assert show(math.inf).startswith("∞")
    assert show(-math.inf).startswith("−∞")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (quantities.energy(0.0123), "12.3 Wh"),
        (quantities.energy(0.000_999_6), "1.00 Wh"),
        (quantities.energy(1.5), "1.50 kWh"),
        (quantities.energy(2e-9), "2.00 µWh"),
        (quantities.joules(0.00123), "1.23 mJ"),
        (quantities.mass(0.00064), "640 mg"),
        (quantities.mass(1234), "1.23 t"),
        (quantities.seconds(0.00035), "350 µs"),
        (quantities.seconds(255), "4.25 min"),
        (quantities.seconds(59.99), "1.00 min"),
        (quantities.size(512), "512 B"),
        (quantities.size(12_345), "12.3 kB"),
        (quantities.count(7), "7"),
        (quantities.count(7.25), "7.25"),
        (quantities.count(1_200_000), "1.20 M"),
        (quantities.percent(0.9651), "96.5%"),
        (quantities.percent(0.0403), "4.03%"),
        (quantities.percent(1), "100%"),
        (quantities.percent(0.9998), "99.98%"),
        (quantities.percent(1.25), "125%"),
        (quantities.saving(-0.000_003_76), "0%"),
        (quantities.saving(-0.000_103), "−0.01%"),
        (quantities.saving(0.0035), "0.35%"),
        (quantities.saving(0.0435), "4.35%"),
        (quantities.saving(None), "–"),
    ],
)
def test_examples(shown: str, expected: str) -> None:
    assert shown == expected


@given(share=st.floats(min_value=1e-6, max_value=1.0))
def test_percent_reads_back(share: float) -> None:
    text = quantities.percent(share)
    if text == "<100%":
        assert 1 - share < 1e-14
        return
    assert float(text.rstrip("%")) / 100 == pytest.approx(share, rel=0.00501)
    assert (text == "100%") == (share == 1)


@given(values=st.lists(st.floats(min_value=1e-11, max_value=1e5), min_size=1))
def test_a_shared_scale_fits_the_largest(values: list[float]) -> None:
    for scale in (quantities.energy_scale(values), quantities.mass_scale(values)):
        assert 0.99 <= max(values) * scale.factor < 1001


def test_a_shared_scale_without_values_is_the_base_unit() -> None:
    assert quantities.energy_scale([]) == quantities.Scale("Wh", 1000.0)
    assert quantities.mass_scale([0.0]) == quantities.Scale("g", 1000.0)

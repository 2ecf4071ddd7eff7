"""Numbers for people: three significant digits and a sensible prefix.

Unavailable (``None`` or NaN) is ``"–"`` and never 0. Databases and JSON hold kWh, kg, J, s and
bytes; these functions are for the last step, where a person reads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "CENT",
    "UNAVAILABLE",
    "Scale",
    "chance",
    "count",
    "counted",
    "energy",
    "energy_scale",
    "euro",
    "joules",
    "mass",
    "mass_scale",
    "moment",
    "number",
    "percent",
    "percent_range",
    "saving",
    "seconds",
    "size",
]

UNAVAILABLE = "–"
"""Stands where a number is not known."""

CENT = 0.01
DECIMALS = 9
"""More of an amount of money would be read by nobody."""

_WATT_HOURS = (
    *((1e9, "GWh"), (1e6, "MWh"), (1e3, "kWh"), (1.0, "Wh")),
    *((1e-3, "mWh"), (1e-6, "µWh"), (1e-9, "nWh")),
)
_JOULES = (
    *((1e9, "GJ"), (1e6, "MJ"), (1e3, "kJ"), (1.0, "J")),
    *((1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ")),
)
_GRAMS = (
    *((1e9, "kt"), (1e6, "t"), (1e3, "kg"), (1.0, "g")),
    *((1e-3, "mg"), (1e-6, "µg"), (1e-9, "ng")),
)
_SECONDS = (
    *((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")),
    *((1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
)
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_PLAIN = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))

_Steps = tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit that several numbers share, as on an axis.

    Attributes:
        unit: Such as ``"mWh"``.
        factor: What a stored number is multiplied by.
    """

    unit: str
    factor: float


def energy(kwh: float | None) -> str:
    """Energy as people say it, such as ``"12.3 mWh"``."""
    return _scaled(None if kwh is None else kwh * 1000, _WATT_HOURS)


def joules(j: float | None) -> str:
    """Energy in joules, such as ``"1.23 mJ"``."""
    return _scaled(j, _JOULES)


def mass(kg: float | None) -> str:
    """Mass, such as ``"640 µg"``; a tonne from 1000 kg on."""
    return _scaled(None if kg is None else kg * 1000, _GRAMS)


def seconds(s: float | None) -> str:
    """A span of time, such as ``"350 µs"``, ``"4.25 min"`` or ``"3.20 h"``."""
    return _scaled(s, _SECONDS)


def size(count_of_bytes: float | None) -> str:
    """Bytes in decimal multiples, such as ``"12.3 kB"``; whole below 1000."""
    return _scaled(count_of_bytes, _BYTES, whole=True)


def euro(amount: float | None) -> str:
    """Money, such as ``"€12.30"``; below a cent in three digits, such as ``"€0.0000123"``."""
    if amount is None or math.isnan(amount):
        return UNAVAILABLE
    if amount >= 1000 or amount == 0:
        return f"€{amount:,.0f}"
    if amount >= CENT:
        return f"€{amount:,.2f}"
    places = 2 - math.floor(math.log10(amount))
    return (
        f"€{amount:.{places}f}" if places <= DECIMALS else f"below €{10.0**-DECIMALS:.{DECIMALS}f}"
    )


def count(n: float | None) -> str:
    """How many, such as ``"7"`` or ``"1.20 M"``; whole numbers below 1000 stay whole."""
    return _scaled(n, _PLAIN, whole=True)


def counted(n: int, thing: str) -> str:
    """How many of something, such as ``"1 trial"`` or ``"2 trials"``."""
    return f"{n} {thing}" + ("" if n == 1 else "s")


def number(n: float | None) -> str:
    """A plain number in three digits, such as ``"0.812"`` or ``"−53.2"``."""
    if n is None or math.isnan(n):
        return UNAVAILABLE
    return _significant(n, 3) if math.isfinite(n) else _infinite(n)


def moment(seconds_since_epoch: float | None) -> str:
    """A moment to the minute, such as ``"2026-11-27 06:20 UTC"``."""
    if seconds_since_epoch is None:
        return UNAVAILABLE
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds_since_epoch))


def percent(share: float | None) -> str:
    """A share of 1 in percent, such as ``"96.5%"``.

    Shares just under 1 get as many digits as keep them apart from ``"100%"``: 99.98% of the answers
    right is not all of them.
    """
    if share is None or math.isnan(share):
        return UNAVAILABLE
    if not math.isfinite(share):
        return _infinite(share) + "%"
    digits = 3
    while (text := _significant(100 * share, digits)).startswith("100") and share < 1:
        if digits == 15:
            return "<100%"
        digits += 1
    return text + "%"


def saving(share: float | None) -> str:
    """A share that is saved, in percent, to a hundredth: no measurement tells less apart."""
    if share is None or not abs(share) < 0.01:
        return percent(share)
    return _signed(round(100 * share, 2) + 0.0, ".2g") + "%"


def percent_range(share: float | None, low: float | None, high: float | None) -> str:
    """A share with its interval, where that is known, such as ``"83.1% (80.0% to 86.2%)"``."""
    if share is None or low is None or high is None:
        return percent(share)
    return f"{percent(share)} ({percent(low)} to {percent(high)})"


def chance(probability: float | None) -> str:
    """A probability in whole percent, which is as well as it is known."""
    return UNAVAILABLE if probability is None else f"{probability:.0%}"


def energy_scale(kwh: Sequence[float]) -> Scale:
    """The unit in which the largest of some energies reads well; ``factor`` is per kWh."""
    return _shared(kwh, _WATT_HOURS)


def mass_scale(kg: Sequence[float]) -> Scale:
    """The unit in which the largest of some masses reads well; ``factor`` is per kg."""
    return _shared(kg, _GRAMS)


def _scaled(value: float | None, steps: _Steps, *, whole: bool = False) -> str:
    if value is None or math.isnan(value):
        return UNAVAILABLE
    if not math.isfinite(value):
        return f"{_infinite(value)} {_base(steps)}".strip()
    if value == 0:
        return f"0 {_base(steps)}".strip()
    factor, unit = _step(value, steps)
    scaled = value / factor
    exact = whole and factor == 1 and float(scaled).is_integer()
    return f"{_signed(scaled, '.0f') if exact else _significant(scaled, 3)} {unit}".strip()


def _step(value: float, steps: _Steps) -> tuple[float, str]:
    """The largest unit of which the value, as it will be written, is at least one."""
    for factor, unit in steps:
        if abs(float(f"{value / factor:.2e}")) >= 1:
            return factor, unit
    return steps[-1]


def _significant(value: float, digits: int) -> str:
    """Plain digits where that is short, else a power of ten."""
    rounded = float(f"{value:.{digits - 1}e}")
    if rounded == 0:
        return "0"
    exponent = math.floor(math.log10(abs(rounded)))
    if -4 <= exponent < digits + 3:
        return _signed(rounded, f".{max(0, digits - 1 - exponent)}f")
    return _signed(value, f".{digits - 1}e")


def _signed(value: float, form: str) -> str:
    return format(value, form).replace("-", "−", 1) if value < 0 else format(value, form)


def _infinite(value: float) -> str:
    return "∞" if value > 0 else "−∞"


def _base(steps: _Steps) -> str:
    return next(unit for factor, unit in steps if factor == 1)


def _shared(thousands: Sequence[float], steps: _Steps) -> Scale:
    largest = max((abs(v) * 1000 for v in thousands if math.isfinite(v)), default=0.0)
    factor, unit = _step(largest, steps) if largest else (1.0, _base(steps))
    return Scale(unit, 1000 / factor)

"""Units of time and of carbon intensity."""

from __future__ import annotations

from greenfront.errors import UsageError

__all__ = ["INTENSITY_UNITS", "KG_PER_LB", "SECONDS_PER_HOUR", "to_g_per_kwh"]

SECONDS_PER_HOUR = 3600.0

KG_PER_LB = 0.45359237
"""Kilograms in one pound (exact by definition); lbs/MWh × this = kg/MWh = g/kWh."""

INTENSITY_UNITS = {"g/kWh": 1.0, "kg/kWh": 1000.0, "kg/MWh": 1.0, "lbs/MWh": KG_PER_LB}
"""Grams per kWh in one of the unit."""


def to_g_per_kwh(value: float, unit: str) -> float:
    """Converts an intensity in one of :data:`INTENSITY_UNITS` to grams per kWh.

    Raises:
        UsageError: The unit is unknown.
    """
    if unit not in INTENSITY_UNITS:
        raise UsageError(f"unit: must be one of {', '.join(INTENSITY_UNITS)}, got {unit!r}")
    return value * INTENSITY_UNITS[unit]

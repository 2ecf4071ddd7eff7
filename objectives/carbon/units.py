"""Units of energy and of carbon intensity, converted here and nowhere else."""

from __future__ import annotations

from greenfront.errors import UsageError
from greenfront.objectives.carbon.intensity import KG_PER_LB
from greenfront.objectives.readings import JOULES_PER_KWH

__all__ = [
    "ENERGY_UNITS",
    "INTENSITY_UNITS",
    "from_g_per_kwh",
    "from_kwh",
    "to_g_per_kwh",
    "to_kwh",
]

INTENSITY_UNITS = {"g/kWh": 1.0, "kg/kWh": 1000.0, "kg/MWh": 1.0, "lbs/MWh": KG_PER_LB}
"""Grams per kWh that one of the unit stands for; the pound is exact by definition."""

ENERGY_UNITS = {"kWh": 1.0, "Wh": 1e-3, "MWh": 1000.0, "J": 1 / JOULES_PER_KWH}
"""Kilowatt-hours that one of the unit stands for."""


def _factor(table: dict[str, float], unit: str) -> float:
    if unit not in table:
        raise UsageError(f"unit: must be one of {', '.join(table)}, got {unit!r}")
    return table[unit]


def to_g_per_kwh(value: float, unit: str) -> float:
    """A carbon intensity in grams per kWh.

    Args:
        value: The number in its unit.
        unit: A key of :data:`INTENSITY_UNITS`.

    Raises:
        UsageError: The unit is unknown.
    """
    return value * _factor(INTENSITY_UNITS, unit)


def from_g_per_kwh(g_per_kwh: float, unit: str) -> float:
    """The inverse of :func:`to_g_per_kwh`.

    Raises:
        UsageError: The unit is unknown.
    """
    return g_per_kwh / _factor(INTENSITY_UNITS, unit)


def to_kwh(value: float, unit: str) -> float:
    """An energy in kWh.

    Args:
        value: The number in its unit.
        unit: A key of :data:`ENERGY_UNITS`.

    Raises:
        UsageError: The unit is unknown.
    """
    return value * _factor(ENERGY_UNITS, unit)


def from_kwh(energy_kwh: float, unit: str) -> float:
    """The inverse of :func:`to_kwh`.

    Raises:
        UsageError: The unit is unknown.
    """
    return energy_kwh / _factor(ENERGY_UNITS, unit)

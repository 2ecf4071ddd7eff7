"""Amounts as people type them: a number with a unit, or a number in the unit of the option."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from greenfront.errors import UsageError

__all__ = ["BYTES", "JOULES", "SECONDS", "SHARES", "amount", "weights"]

SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
BYTES = {
    **{"": 1.0, "B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12},
    **{"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40},
}
JOULES = {
    **{"": 1.0, "J": 1.0, "kJ": 1e3, "mJ": 1e-3, "uJ": 1e-6, "µJ": 1e-6, "μJ": 1e-6, "nJ": 1e-9},
    **{"kWh": 3.6e6, "Wh": 3600.0, "mWh": 3.6, "µWh": 3.6e-3, "uWh": 3.6e-3},
}
SHARES = {"": 1.0, "%": 0.01}
"""A share of 1, or percent: of accuracies, points."""

_NUMBER = re.compile(r"\s*([-+]?[\d.,_]*\d(?:[eE][-+]?\d+)?\.?)\s*(\S*)\s*")


def amount(text: str | None, units: Mapping[str, float], option: str, such_as: str) -> float | None:
    """What is meant by a text such as ``"2 ms"``; ``None`` for none.

    Args:
        text: As it was typed.
        units: From a unit to how many of the option's own it is. What is none of them is looked up
            in capitals, too: ``gb``.
        option: Its name, for the message.
        such_as: A good value, for the message.

    Raises:
        UsageError: It is no finite number of 0 or more with one of the units.
    """
    if text is None:
        return None
    found = _NUMBER.fullmatch(text)
    try:
        value = float(found[1].replace("_", "")) if found else math.nan
    except ValueError:
        value = math.nan
    factor = units.get(found[2], units.get(found[2].upper())) if found else None
    if factor is None or not math.isfinite(value) or value < 0:
        known = ", ".join(unit for unit in units if unit)
        raise UsageError(
            f"{option}: must be a number of 0 or more with a unit ({known}) or without, got "
            f"{text!r}; such as {such_as}"
        )
    return value * factor


def weights(text: str) -> tuple[float, float, float]:
    """Three weights such as ``"1,1,1"``.

    Raises:
        UsageError: They are not three numbers.
    """
    try:
        alpha, beta, gamma = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--weights: must be three numbers, of loss, energy and CO₂, got {text!r}; such as "
            "1,1,1"
        ) from error
    return alpha, beta, gamma

"""Traces from the JSON of carbon services, stored or live.

Readers take the parsed JSON and the name of its source, for messages and the trace.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from greenfront.errors import DataError
from greenfront.objectives.carbon.traces import IntensityKind, IntensityRow, IntensityStep, Trace
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR, to_g_per_kwh

__all__ = [
    "check_rising",
    "checked_intensity",
    "read_json",
    "read_maps",
    "read_uk",
    "utc_seconds",
]

HIGHEST_G_PER_KWH = 5000.0
"""More than any grid emits, so that a larger number has another unit."""

_EARLIEST, _LATEST = 1900, 2200
"""Years in which instants of a trace lie; others are misread numbers."""

_LONGEST_PERIOD_SECONDS = 366 * 24 * SECONDS_PER_HOUR

_WATTTIME_KINDS: dict[str, IntensityKind] = {"co2_moer": "marginal", "co2_aoer": "average"}


def utc_seconds(text: object, where: str, *, heading_is_utc: bool = False) -> float:
    """Parses an instant, with its offset, to seconds since 1970.

    Args:
        text: ISO 8601, such as ``2026-11-21T09:00Z`` or ``2026-11-21 10:00:00+01:00``.
        where: Place for messages, such as ``trace.csv, line 3``.
        heading_is_utc: Whether an instant without an offset is UTC.

    Raises:
        DataError: It is no instant, or could be any of several.
    """
    try:
        instant = datetime.fromisoformat(str(text).strip())
    except ValueError:
        raise DataError(
            f"{where}: the instant must be in ISO 8601, got {text!r}; write it as in "
            "2026-11-21T09:00:00Z"
        ) from None
    if not _EARLIEST <= instant.year < _LATEST:
        raise DataError(
            f"{where}: the instant must lie in the years {_EARLIEST} to {_LATEST}, got {text!r}; "
            "write it as in 2026-11-21T09:00:00Z"
        )
    if instant.tzinfo is None and heading_is_utc:
        instant = datetime.fromisoformat(f"{instant.isoformat()}+00:00")
    if instant.tzinfo is None:
        raise DataError(
            f"{where}: the instant must say its offset from UTC, got {text!r}; add Z or +01:00, or "
            "head the column timestamp_utc if it is UTC"
        )
    return instant.timestamp()


def checked_intensity(value: object, where: str, unit: str = "g/kWh") -> float:
    """Parses a number, or text of one, in a unit of ``units.INTENSITY_UNITS`` to g/kWh.

    Raises:
        DataError: It is no number, negative, infinite, or larger than any grid's.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = math.nan
    grams = to_g_per_kwh(number, unit)
    if not (math.isfinite(grams) and grams >= 0):
        raise DataError(
            f"{where}: the intensity must be a finite number of {unit} of 0 or more, got "
            f"{value!r}; leave the row out where it is unknown, it is then a gap"
        )
    if grams > HIGHEST_G_PER_KWH:
        raise DataError(
            f"{where}: the intensity must be at most {HIGHEST_G_PER_KWH:g} g/kWh, more than any "
            f"grid emits, got {value!r} read as {unit}; check the unit"
        )
    return grams


def _entries(answer: Any, key: str, source: str) -> list[tuple[str, dict[str, Any]]]:
    """The objects in a list, each with its place for messages."""
    rows = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(
            f"{source}: {key!r} must be a list of objects, got {str(rows)[:80]!r}; store the "
            "answer of the API unchanged"
        )
    return [(f"{source}, entry {number}", row) for number, row in enumerate(rows, start=1)]


def _field(row: dict[str, Any], key: str, where: str) -> Any:
    if key not in row:
        raise DataError(
            f"{where}: must have {key!r}, but has {', '.join(map(repr, row)) or 'nothing'}; "
            "store the answer of the API unchanged"
        )
    return row[key]


def check_rising(instants: Mapping[str, float]) -> None:
    """Refuses instants, in seconds since 1970 by place for messages, that are out of order.

    Raises:
        DataError: One repeats, or lies before the one above.
    """
    for (_, before), (where, after) in itertools.pairwise(instants.items()):
        if after <= before:
            raise DataError(
                f"{where}: instants must rise, but this one "
                f"{'repeats' if after == before else 'lies before'} the one above; sort them and "
                "keep one for each instant (local times without an offset repeat an hour when "
                "summer time ends)"
            )


def read_uk(answer: Any, source: str) -> Trace:
    """The answer of the UK Carbon Intensity API, national or of one region.

    Where no actual intensity is known the forecast is taken and the step marked as estimated;
    regional answers hold forecasts alone. Entries with neither are gaps.

    Raises:
        DataError: The answer has another form.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    region = "GB"
    if isinstance(data, list) and data and isinstance(data[0], dict) and "data" in data[0]:
        data = data[0]
    if isinstance(data, dict):
        region = f"GB {data.get('shortname') or data.get('regionid') or 'region'}"
        entries = _entries(data, "data", source)
    else:
        entries = _entries(answer, "data", source)
    steps: dict[str, IntensityStep] = {}
    for where, row in entries:
        intensity = _field(row, "intensity", where)
        if not isinstance(intensity, dict):
            raise DataError(f"{where}: 'intensity' must be an object, got {intensity!r}")
        actual, forecast = intensity.get("actual"), intensity.get("forecast")
        if actual is None and forecast is None:
            continue
        grams = checked_intensity(forecast if actual is None else actual, where)
        start = utc_seconds(_field(row, "from", where), where)
        end = utc_seconds(_field(row, "to", where), where)
        steps[where] = IntensityStep(start, end, grams, estimated=actual is None)
    check_rising({where: step.start_seconds for where, step in steps.items()})
    basis = "location-based, direct, with imports and grid losses"
    return Trace(tuple(steps.values()), region, source, "average", basis)


def read_maps(answer: Any, source: str) -> Trace:
    """The answer of Electricity Maps, version 3: ``history``, ``forecast`` or ``data``.

    Raises:
        DataError: The answer has another form.
    """
    if not isinstance(answer, dict):
        raise DataError(f"{source}: must be a JSON object; store the answer of the API unchanged")
    key = next((key for key in ("history", "forecast", "data") if key in answer), "history")
    entries = _entries(answer, key, source)
    factors = answer.get("emissionFactorType") or next(
        (row["emissionFactorType"] for _, row in entries if row.get("emissionFactorType")),
        "lifecycle",
    )
    rows: dict[str, IntensityRow] = {}
    for where, row in entries:
        value = row.get("carbonIntensity", row.get("value"))
        grams = None if value is None else checked_intensity(value, where)
        instant = utc_seconds(_field(row, "datetime", where), where)
        estimated = key == "forecast" or bool(row.get("isEstimated", False))
        rows[where] = (instant, grams, estimated)
    check_rising({where: row[0] for where, row in rows.items()})
    hourly = answer.get("temporalGranularity", "hourly") == "hourly"
    return Trace.of_rows(
        rows.values(),
        region=str(answer.get("zone", "unknown zone")),
        source=source,
        basis=f"location-based, {'direct' if factors == 'direct' else 'life-cycle'}",
        step_seconds=SECONDS_PER_HOUR if hourly else None,
    )


def read_watttime(answer: Any, source: str) -> Trace:
    """The answer of WattTime, version 3: pounds of CO₂ per MWh of one more unit of demand.

    Raises:
        DataError: The answer has another form, unit or signal.
    """
    meta = answer.get("meta") if isinstance(answer, dict) else None
    if not isinstance(meta, dict):
        raise DataError(f"{source}: must have 'meta' with units; store the answer unchanged")
    if meta.get("units") != "lbs_co2_per_mwh":
        raise DataError(
            f"{source}: 'meta.units' must be 'lbs_co2_per_mwh', got {meta.get('units')!r}; ask "
            "for the signal co2_moer"
        )
    signal = meta.get("signal_type", "co2_moer")
    if not isinstance(signal, str) or signal not in _WATTTIME_KINDS:
        raise DataError(
            f"{source}: 'meta.signal_type' must be one of {', '.join(_WATTTIME_KINDS)}, got "
            f"{signal!r}; ask for the signal co2_moer"
        )
    rows: dict[str, IntensityRow] = {}
    for where, row in _entries(answer, "data", source):
        value = _field(row, "value", where)
        grams = None if value is None else checked_intensity(value, where, "lbs/MWh")
        instant = utc_seconds(_field(row, "point_time", where), where)
        rows[where] = (instant, grams, "generated_at" in meta)
    check_rising({where: row[0] for where, row in rows.items()})
    kind = _WATTTIME_KINDS[signal]
    period = meta.get("data_point_period_seconds")
    return Trace.of_rows(
        rows.values(),
        region=str(meta.get("region", "unknown region")),
        source=source,
        kind=kind,
        basis=f"location-based, direct, {kind}",
        step_seconds=float(period)
        if isinstance(period, int | float) and 0 < period <= _LONGEST_PERIOD_SECONDS
        else None,
    )


def read_json(answer: Any, source: str) -> Trace:
    """Any of the JSON forms, recognised by content.

    Raises:
        DataError: It is none of them, or breaks a rule of its form.
    """
    if isinstance(answer, dict):
        if isinstance(answer.get("meta"), dict) and "units" in answer["meta"]:
            return read_watttime(answer, source)
        if "zone" in answer:
            return read_maps(answer, source)
        if "data" in answer:
            return read_uk(answer, source)
    raise DataError(
        f"{source}: JSON must be an answer of the UK Carbon Intensity API ('data' with "
        "'intensity'), of WattTime version 3 ('meta' with 'units') or of Electricity Maps "
        "('zone'); store the answer unchanged, or write a CSV with the columns "
        "timestamp_utc,g_per_kwh"
    )

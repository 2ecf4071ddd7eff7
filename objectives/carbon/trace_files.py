"""Traces from files: plain CSV, exports of Electricity Maps, stored answers of web services."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.trace_json import (
    check_rising,
    checked_intensity,
    read_json,
    utc_seconds,
)
from greenfront.objectives.carbon.traces import IntensityRow, Trace

__all__ = ["Factors", "read_trace"]

Factors = Literal["life-cycle", "direct"]

_PLAIN_UNITS = {
    "g_per_kwh": "g/kWh",
    "kg_per_kwh": "kg/kWh",
    "kg_per_mwh": "kg/MWh",
    "lbs_per_mwh": "lbs/MWh",
}

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")

_MAPS_HEADING = re.compile(
    r"carbon intensity gco2eq/kwh \((?P<factors>direct|lca|life ?-?cycle)\)", re.IGNORECASE
)


def read_trace(path: Path, *, factors: Factors = "life-cycle") -> Trace:
    """Reads a trace in a format that is recognised by its content.

    Known are CSV with the columns ``timestamp_utc`` and ``g_per_kwh`` (or ``kg_per_mwh``,
    ``lbs_per_mwh``), exports of Electricity Maps with their current and older headings, and stored
    JSON answers of the UK Carbon Intensity API, WattTime version 3 and Electricity Maps. Where
    semicolons or tabs separate cells a number may have a decimal comma.

    Args:
        path: The file, in UTF-8.
        factors: Which column of an Electricity Maps export to take: with the emissions of building
            and fuelling the plants, or of burning alone. Other formats have one kind and ignore it.

    Returns:
        The trace. Missing rows and empty cells are gaps.

    Raises:
        UsageError: ``factors`` is unknown.
        DataError: The file cannot be read or breaks a rule; the message names file and line.
    """
    if factors not in ("life-cycle", "direct"):
        raise UsageError(f"factors: must be 'life-cycle' or 'direct', got {factors!r}")
    rule = f"{path}: a carbon trace must be a CSV or JSON file in UTF-8, but"
    if path.exists() and not path.is_file():  # reading a pipe could wait for ever
        raise DataError(f"{rule} is no ordinary file: correct the path")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{rule} cannot be read ({error}): correct the path, or write the file again"
        ) from error
    if text.lstrip()[:1] in ("{", "["):
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path}: begins like JSON but is none ({error}); store the API's answer unchanged"
            ) from error
        return read_json(answer, str(path))
    return _csv(text, path, factors)


def _csv(text: str, path: Path, factors: Factors) -> Trace:
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        headings = [heading.strip() for heading in next(reader, [])]
        lines = ((reader.line_num, row) for row in reader)
        rows = _numbered(lines, len(headings), path, has_comma=delimiter != ",")
        if any(_MAPS_HEADING.fullmatch(_ascii(heading)) for heading in headings):
            return _maps(headings, rows, path, factors)
        return _plain(headings, rows, path)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: this must be CSV, but cannot be read ({error}); "
            "write the file again"
        ) from error


def _ascii(heading: str) -> str:
    return heading.replace("₂", "2")


def _numbered(
    lines: Iterator[tuple[int, list[str]]], width: int, path: Path, *, has_comma: bool
) -> Iterator[tuple[str, list[str]]]:
    """Rows that are not empty, each with its place for messages.

    ``has_comma``: a comma within a number is that of decimals, since cells are separated otherwise.
    """
    for number, row in lines:
        if not any(cell.strip() for cell in row):
            continue
        where = f"{path}, line {number}"
        if len(row) != width:
            raise DataError(
                f"{where}: must have {width} cells as the heading has, got {len(row)}; a decimal "
                "comma needs semicolons between cells"
            )
        cells = [cell.strip() for cell in row]
        if has_comma:
            cells = [c.replace(",", ".") if _DECIMAL_COMMA.fullmatch(c) else c for c in cells]
        yield where, cells


def _plain(headings: list[str], rows: Iterator[tuple[str, list[str]]], path: Path) -> Trace:
    lowered = [heading.lower() for heading in headings]
    times = [name for name in ("timestamp_utc", "timestamp") if name in lowered]
    units = [name for name in _PLAIN_UNITS if name in lowered]
    if not times or len(units) != 1:
        raise DataError(
            f"{path}, line 1: the heading must be timestamp_utc,g_per_kwh (or timestamp with "
            f"offsets, or one of {', '.join(list(_PLAIN_UNITS)[1:])}), an export of Electricity "
            f"Maps, or the file JSON, got {','.join(headings)[:200]!r}; rename the columns"
        )
    at, value = lowered.index(times[0]), lowered.index(units[0])
    unit, listed = _PLAIN_UNITS[units[0]], dict[str, IntensityRow]()
    for where, row in rows:
        instant = utc_seconds(row[at], where, heading_is_utc=times[0] == "timestamp_utc")
        grams = checked_intensity(row[value], where, unit) if row[value] else None
        listed[where] = (instant, grams, False)
    check_rising({where: row[0] for where, row in listed.items()})
    basis = "as the file's giver says"
    return Trace.of_rows(listed.values(), region=path.stem, source=str(path), basis=basis)


def _maps(
    headings: list[str], rows: Iterator[tuple[str, list[str]]], path: Path, factors: Factors
) -> Trace:
    at = _column(headings, r"datetime \(utc\)", path, "Datetime (UTC)")
    zone = _column(headings, r"zone id", path, "Zone id")
    wanted = "direct" if factors == "direct" else "lca|life ?-?cycle"
    value = _column(
        headings, rf"carbon intensity gco2eq/kwh \((?:{wanted})\)", path, f"({factors})"
    )
    guess = _place(headings, "data estimated")
    listed: dict[str, IntensityRow] = {}
    zones = set()
    for where, row in rows:
        zones.add(row[zone])
        if len(zones) > 1:
            raise DataError(
                f"{where}: one file must hold one zone, got {' and '.join(sorted(zones))}; "
                "keep the rows of one"
            )
        instant = utc_seconds(row[at], where, heading_is_utc=True)
        grams = checked_intensity(row[value], where) if row[value] else None
        estimated = guess is not None and row[guess].lower() in ("true", "1", "yes")
        listed[where] = (instant, grams, estimated)
    check_rising({where: row[0] for where, row in listed.items()})
    return Trace.of_rows(
        listed.values(),
        region=next(iter(zones), path.stem),
        source=f"Electricity Maps, {path}",
        basis=f"location-based, {factors}",
    )


def _place(headings: list[str], pattern: str) -> int | None:
    for index, heading in enumerate(headings):
        if re.fullmatch(pattern, _ascii(heading), re.IGNORECASE):
            return index
    return None


def _column(headings: list[str], pattern: str, path: Path, name: str) -> int:
    found = _place(headings, pattern)
    if found is not None:
        return found
    raise DataError(
        f"{path}, line 1: an export of Electricity Maps must have the column {name}, got "
        f"{', '.join(headings)}; export it again, or choose other factors"
    )

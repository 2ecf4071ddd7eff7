"""Yearly average carbon intensity of electricity, by country and region.

All numbers come from the tables that CodeCarbon ships; none needs a network. They are
location-based averages over a year of what the region generates, not market-based ones.
"""

from __future__ import annotations

import csv
import difflib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from greenfront.errors import UsageError
from greenfront.objectives.carbon.shipped import codecarbon_file, codecarbon_version
from greenfront.objectives.carbon.units import KG_PER_LB

__all__ = ["Intensity", "fuel_intensity", "region_intensity", "regions", "world_average"]

_ALSO_CALLED = {"GBR": ("UK", "Great Britain"), "USA": ("United States of America",)}

_CANADIAN_CODES = {
    "alberta": "AB",
    "british columbia": "BC",
    "manitoba": "MB",
    "new brunswick": "NB",
    "newfoundland and labrador": "NL",
    "northwest territories": "NT",
    "nova scotia": "NS",
    "nunavut": "NU",
    "ontario": "ON",
    "prince edward island": "PE",
    "quebec": "QC",
    "saskatchewan": "SK",
    "yukon": "YT",
}


@dataclass(frozen=True, slots=True)
class Intensity:
    """CO₂ emitted for one kWh of electricity.

    Attributes:
        g_per_kwh: Grams of CO₂ equivalent per kWh, finite and not negative.
        region: The region's name, as :func:`regions` lists it or as its source calls it.
        source: Publisher, year and kind of average.

    Raises:
        UsageError: ``g_per_kwh`` is negative, infinite or NaN.
    """

    g_per_kwh: float
    region: str
    source: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.g_per_kwh) and self.g_per_kwh >= 0):
            raise UsageError(
                f"carbon intensity of {self.region}: must be a finite number of g/kWh of 0 or "
                f"more, got {self.g_per_kwh}; name a region instead, such as 'FRA'"
            )


@dataclass(frozen=True, slots=True)
class _Entry:
    intensity: Intensity
    aliases: tuple[str, ...]


def _json(name: str) -> Any:
    return json.loads(codecarbon_file(name).read_text(encoding="utf-8"))


def _source(table: str, year: object, note: str) -> str:
    return f"CodeCarbon {codecarbon_version()}, {table}, {year}: yearly average, {note}"


def _name(*parts: str) -> str:
    return "-".join(part.replace(" ", "-") for part in parts).upper()


def _countries() -> Iterator[_Entry]:
    from pycountry import countries  # tables of 28 ms, needed for two-letter codes only

    for code, row in _json("private_infra/global_energy_mix.json").items():
        grams = row.get("carbon_intensity")
        if not grams:
            continue  # a missing value is written as 0, and no grid emits nothing
        source = _source("global energy mix", row["year"], "generation in the country")
        country = countries.get(alpha_3=code)
        two_letters = () if country is None else (country.alpha_2,)
        aliases = (row["country_name"], *two_letters, *_ALSO_CALLED.get(code, ()))
        yield _Entry(Intensity(float(grams), code, source), aliases)


def _us_states() -> Iterator[_Entry]:
    table = _json("private_infra/2023/usa_emissions.json")
    origin = table["_source"]
    source = _source("US states", origin["year"], origin["name"])
    for state, row in table.items():
        if state.startswith("_") or state == "usa":
            continue
        intensity = Intensity(row["emissions"] * KG_PER_LB, _name("usa", state), source)
        yield _Entry(intensity, (f"US-{row['regionCode']}",))


def _canadian_provinces() -> Iterator[_Entry]:
    # As CodeCarbon counts them: the fossil share of the mix, everything else as zero.
    factors = _json("private_infra/carbon_intensity_per_source.json")
    fossil = {"coal": "coal", "petroleum": "petroleum", "naturalGas": "natural_gas"}
    source = _source(
        "Canadian energy mix", 2023, "fossil share × factor per fuel, other sources counted as 0"
    )
    for province, mix in _json("private_infra/2023/canada_energy_mix.json").items():
        grams = sum(mix[fuel] * factors[factor] for fuel, factor in fossil.items()) / mix["total"]
        aliases = (f"CA-{_CANADIAN_CODES[province]}",) if province in _CANADIAN_CODES else ()
        yield _Entry(Intensity(grams, _name("can", province), source), aliases)


def _chinese_provinces() -> Iterator[_Entry]:
    for code, row in _json("private_infra/2023/china_provincial_emissions.json")["data"].items():
        source = _source("Chinese provinces", row["year"], "official factor, CO₂ only")
        intensity = Intensity(
            float(row["emission_factor"]), _name("chn", row["description"]), source
        )
        yield _Entry(intensity, (code, *(_name("chn", name) for name in row["names"])))


def _nordic_zones() -> Iterator[_Entry]:
    for zone, row in _json("private_infra/nordic_emissions.json")["data"].items():
        if zone == "FI":
            continue  # the zone is the country, and FI is its two-letter code
        source = _source("Nordic bidding zones", row["year"], "generation in the zone")
        yield _Entry(Intensity(float(row["emission_factor"]), zone, source), ())


def _gcp_regions() -> Iterator[_Entry]:
    with codecarbon_file("cloud/impact.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            # The table misspells one region.
            region = row["region"].replace("cenrtal", "central")
            source = _source(
                "Google Cloud regions", "year unstated", f"published at {row['source']}"
            )
            yield _Entry(Intensity(float(row["impact"]), f"{row['provider']}:{region}", source), ())


def _world() -> Iterator[_Entry]:
    factors = _json("private_infra/carbon_intensity_per_source.json")
    source = _source("world average", "year unstated", f"from {factors['world_average_source']}")
    yield _Entry(Intensity(float(factors["world_average"]), "WORLD", source), ("world average",))


def _key(region: str) -> str:
    return "-".join(region.casefold().replace("_", " ").replace("-", " ").split())


@lru_cache(maxsize=1)
def _entries() -> tuple[_Entry, ...]:
    return (
        *_countries(),
        *_us_states(),
        *_canadian_provinces(),
        *_chinese_provinces(),
        *_nordic_zones(),
        *_gcp_regions(),
        *_world(),
    )


@lru_cache(maxsize=1)
def _by_key() -> dict[str, tuple[str, Intensity]]:
    """Normalised name → the name as written, and its intensity."""
    index: dict[str, tuple[str, Intensity]] = {}
    for entry in _entries():
        index[_key(entry.intensity.region)] = (entry.intensity.region, entry.intensity)
    for entry in _entries():
        for alias in entry.aliases:
            index.setdefault(_key(alias), (alias, entry.intensity))
    return index


def _nearest(region: str) -> list[str]:
    names = []
    for key in difflib.get_close_matches(_key(region), _by_key(), n=5, cutoff=0.6):
        name, intensity = _by_key()[key]
        names.append(name if name == intensity.region else f"{name} ({intensity.region})")
    return names


def region_intensity(region: str) -> Intensity:
    """The yearly average carbon intensity of a region.

    Args:
        region: A country (``"FRA"``, ``"FR"`` or ``"France"``), a US state
            (``"USA-CALIFORNIA"`` or ``"US-CA"``), a Canadian or Chinese province
            (``"CAN-QUEBEC"``, ``"CA-QC"``, ``"CHN-BEIJING"``, ``"CN-BJ"``), a Nordic bidding zone
            (``"SE3"``), a Google Cloud region (``"gcp:europe-west1"``) or ``"WORLD"``. Case does
            not matter; blanks, hyphens and underscores are the same.

    Raises:
        UsageError: No table has that name; the message has the nearest ones.
    """
    found = _by_key().get(_key(region))
    if found is not None:
        return found[1]
    nearest = ", ".join(_nearest(region))
    hint = f"did you mean {nearest}?" if nearest else "write it as in 'FRA', 'US-CA' or 'SE3'."
    raise UsageError(
        f"region: must be one of the {len(_entries())} that CodeCarbon {codecarbon_version()} has "
        f"an average for, got {region!r}; {hint} 'WORLD' stands for the world's average."
    )


def fuel_intensity(fuel: str) -> float:
    """Life-cycle g/kWh of electricity from ``"wind"``, ``"coal"`` or others, as CodeCarbon has it.

    Raises:
        UsageError: It has no factor for that.
    """
    factors = _json("private_infra/carbon_intensity_per_source.json")
    known = sorted(name for name, value in factors.items() if isinstance(value, (int, float)))
    if fuel not in known:
        raise UsageError(f"fuel: must be one of {', '.join(known)}, got {fuel!r}")
    return float(factors[fuel])


def regions() -> list[str]:
    """All names, one for each region, in alphabetical order."""
    return sorted(entry.intensity.region for entry in _entries())


def world_average() -> Intensity:
    """The world's average, where no region is named; IEA, as CodeCarbon ships it."""
    return _by_key()["world"][1]

from __future__ import annotations

import math
import re

import pytest

from greenfront.errors import UsageError
from greenfront.objectives.carbon import shipped
from greenfront.objectives.carbon.intensity import (
    Intensity,
    region_intensity,
    regions,
    world_average,
)


@pytest.mark.parametrize(
    ("region", "g_per_kwh"),
    [
        ("FRA", 56.039),
        ("USA", 369.473),
        ("SE3", 27.0),
        ("NO4", 51.7),
        ("CHN-BEIJING", 555.4),
        ("gcp:europe-west1", 122.0),
        ("WORLD", 475.0),
        # lbs/MWh of the table × the kilograms of a pound
        ("USA-CALIFORNIA", 394.769 * 0.45359237),
        # fossil share of the mix × grams of each fuel
        ("CAN-QUEBEC", (0.2 * 743 + 0.3 * 816) / 100.01),
        ("CAN-ALBERTA", (73.5 * 743 + 0.02 * 816 + 8.0 * 995) / 99.82),
    ],
)
def test_known_values(region: str, g_per_kwh: float) -> None:
    found = region_intensity(region)
    assert found.g_per_kwh == pytest.approx(g_per_kwh, rel=1e-12)
    assert found.region == region


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("fra", "FRA"),
        ("FR", "FRA"),
        ("france", "FRA"),
        (" France ", "FRA"),
        ("SE", "SWE"),
        ("FI", "FIN"),
        ("uk", "GBR"),
        ("united_kingdom", "GBR"),
        ("Georgia", "GEO"),
        ("US-GA", "USA-GEORGIA"),
        ("us-ca", "USA-CALIFORNIA"),
        ("USA-New York", "USA-NEW-YORK"),
        ("CA", "CAN"),
        ("ca-qc", "CAN-QUEBEC"),
        ("can-british columbia", "CAN-BRITISH-COLUMBIA"),
        ("CN-BJ", "CHN-BEIJING"),
        ("se3", "SE3"),
        ("GCP:us-west1", "gcp:us-west1"),
        ("world", "WORLD"),
    ],
)
def test_a_region_goes_by_several_names(written: str, region: str) -> None:
    assert region_intensity(written).region == region


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ("FRA", "global energy mix, 2023"),
        ("USA-TEXAS", "US states, 2023"),
        ("CAN-ONTARIO", "Canadian energy mix, 2023"),
        ("CN-SH", "Chinese provinces, 2023"),
        ("NO1", "Nordic bidding zones, 2025"),
        ("gcp:us-east1", "Google Cloud regions"),
    ],
)
def test_the_source_names_table_year_and_average(region: str, words: str) -> None:
    source = region_intensity(region).source
    assert re.match(r"CodeCarbon \d", source)
    assert words in source
    assert "yearly average" in source


def test_the_world_average_names_where_it_is_from() -> None:
    assert world_average() == region_intensity("WORLD")
    assert "iea.org" in world_average().source


@pytest.mark.parametrize(
    ("region", "nearest"),
    [
        ("Fance", "France (FRA)"),
        ("USA-CALIFORNA", "USA-CALIFORNIA"),
        ("SE9", "SE"),
        ("gcp:europe-west99", "gcp:europe-west9"),
    ],
)
def test_an_unknown_region_is_told_the_nearest_names(region: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=rf"region: .* got '{region}'; did you mean .*") as told:
        region_intensity(region)
    assert nearest in str(told.value)


@pytest.mark.parametrize("region", ["", "qqqqqqq"])
def test_a_name_like_no_other_is_told_how_to_write_one(region: str) -> None:
    with pytest.raises(UsageError, match="write it as in 'FRA'"):
        region_intensity(region)


def test_every_listed_region_can_be_looked_up_and_emits_something() -> None:
    names = regions()
    assert names == sorted(set(names))
    assert len(names) > 300
    for name in names:
        found = region_intensity(name)
        assert found.region == name
        assert 0 < found.g_per_kwh < 2000


def test_a_country_whose_value_is_missing_is_not_listed() -> None:
    assert "CAF" not in regions()  # the table has 0 g/kWh for it


@pytest.mark.parametrize("g_per_kwh", [-1.0, math.nan, math.inf])
def test_an_impossible_intensity_is_refused(g_per_kwh: float) -> None:
    with pytest.raises(UsageError, match=r"carbon intensity of HERE: .* 0 or more, got"):
        Intensity(g_per_kwh, "HERE", "nobody")


def test_codecarbon_itself_agrees() -> None:
    """CodeCarbon uses a pound and fuel factors with other last digits."""
    from codecarbon.core.emissions import Emissions
    from codecarbon.core.units import Energy
    from codecarbon.external.geography import GeoMetadata
    from codecarbon.input import DataSource

    emissions = Emissions(DataSource())  # type: ignore[no-untyped-call]
    for country, region, name in [
        ("FRA", None, "FRA"),
        ("DEU", None, "DEU"),
        ("USA", "california", "USA-CALIFORNIA"),
        ("CAN", "quebec", "CAN-QUEBEC"),
        ("CHN", "beijing", "CHN-BEIJING"),
        ("SWE", "SE3", "SE3"),
    ]:
        place = GeoMetadata(country_iso_code=country, country_name=country, region=region)
        kg = emissions.get_private_infra_emissions(Energy.from_energy(kWh=1), place)
        assert region_intensity(name).g_per_kwh == pytest.approx(kg * 1000, rel=2e-3)


def test_a_missing_table_names_the_way_out() -> None:
    with pytest.raises(UsageError, match=r"has no data/none\.csv; install .*codecarbon=="):
        shipped.codecarbon_file("none.csv")


def test_a_missing_codecarbon_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="none is installed; install"):
        shipped.codecarbon_file("hardware/cpu_power.csv")

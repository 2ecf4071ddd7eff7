from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.trace_files import read_trace

MAPS_NOW = (
    "Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),"
    "Carbon intensity gCO₂eq/kWh (Life cycle),Carbon-free energy percentage (CFE%),"
    "Renewable energy percentage (RE%),Data source,Data estimated,Data estimation method\n"
    "2025-01-01 00:00:00,Germany,Germany,DE,200.5,260.5,60,55,entsoe.eu,false,\n"
    "2025-01-01 01:00:00,Germany,Germany,DE,210.5,270.5,60,55,entsoe.eu,true,TIME_SLICER_AVERAGE\n"
)
MAPS_BEFORE = (
    "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),"
    "Carbon Intensity gCO₂eq/kWh (LCA),Low Carbon Percentage,Renewable Percentage,"
    "Data Source,Data Estimated,Data Estimation Method\n"
    "2022-01-01 00:00:00,Germany,Germany,DE,200.5,260.5,60,55,entsoe.eu,false,\n"
    "2022-01-01 01:00:00,Germany,Germany,DE,210.5,270.5,60,55,entsoe.eu,true,TIME_SLICER_AVERAGE\n"
)


def write(folder: Path, content: str | Any, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def uk(*rows: tuple[str, str, int | None, int | None]) -> dict[str, Any]:
    return {
        "data": [
            {"from": start, "to": end, "intensity": {"forecast": f, "actual": a, "index": "low"}}
            for start, end, f, a in rows
        ]
    }


def watttime(**meta: Any) -> dict[str, Any]:
    return {
        "data": [
            {"point_time": "2026-11-01T00:00:00+00:00", "value": 1000.0},
            {"point_time": "2026-11-01T00:05:00+00:00", "value": 500.0},
        ],
        "meta": {
            "data_point_period_seconds": 300,
            "region": "CAISO_NORTH",
            "signal_type": "co2_moer",
            "units": "lbs_co2_per_mwh",
            **meta,
        },
    }


def test_plain(tmp_path: Path) -> None:
    text = "timestamp_utc,g_per_kwh\n2019-01-01T00:00:00Z,100\n2019-01-01T01:00:00Z,200.5\n"
    trace = read_trace(write(tmp_path, text, "FR_2019.csv"))
    assert [step.g_per_kwh for step in trace.steps] == [100, 200.5]
    assert trace.start == datetime(2019, 1, 1, tzinfo=UTC)
    assert trace.end == datetime(2019, 1, 1, 2, tzinfo=UTC)
    assert (trace.region, trace.kind) == ("FR_2019", "average")


@pytest.mark.parametrize("first", ["2019-01-01 00:00", "2019-01-01T01:00:00+01:00"])
def test_the_heading_makes_naive_instants_utc_and_offsets_count(tmp_path: Path, first: str) -> None:
    text = f"timestamp_utc;g_per_kwh\n{first};100\n2019-01-01T01:00:00Z;200\n"
    assert read_trace(write(tmp_path, text)).start == datetime(2019, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("heading", "factor"), [("kg_per_mwh", 1), ("lbs_per_mwh", 0.45359237), ("g_per_kwh", 1)]
)
def test_the_heading_says_the_unit(tmp_path: Path, heading: str, factor: float) -> None:
    text = f"timestamp_utc,{heading}\n2019-01-01T00:00:00Z,100\n2019-01-01T01:00:00Z,200\n"
    assert read_trace(write(tmp_path, text)).mean() == pytest.approx(150 * factor)


def test_the_end_of_summer_time_repeats_no_instant(tmp_path: Path) -> None:
    """In Berlin the hour from two to three comes twice; the offset tells the two apart."""
    text = (
        "timestamp,g_per_kwh\n"
        "2026-10-25T01:00:00+02:00,1\n2026-10-25T02:00:00+02:00,2\n"
        "2026-10-25T02:00:00+01:00,3\n2026-10-25T03:00:00+01:00,4\n"
    )
    trace = read_trace(write(tmp_path, text))
    assert trace.end - trace.start == timedelta(hours=4)
    assert trace.filled_share(trace.start, trace.end) == 0


def test_the_beginning_of_summer_time_leaves_no_gap(tmp_path: Path) -> None:
    text = (
        "timestamp,g_per_kwh\n2026-03-29T01:00:00+01:00,1\n2026-03-29T03:00:00+02:00,2\n"
        "2026-03-29T04:00:00+02:00,3\n"
    )
    trace = read_trace(write(tmp_path, text))
    assert trace.end - trace.start == timedelta(hours=3)
    assert trace.filled_share(trace.start, trace.end) == 0


def test_missing_rows_and_empty_cells_are_gaps(tmp_path: Path) -> None:
    text = (
        "timestamp_utc,g_per_kwh\n2019-01-01T00:00Z,100\n2019-01-01T01:00Z,\n"
        "2019-01-01T02:00Z,100\n2019-01-01T03:00Z,100\n\n2019-01-01T05:00Z,100\n"
    )
    trace = read_trace(write(tmp_path, text))
    assert trace.filled_share(trace.start, trace.end) == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("2019-01-01T00:00Z,-5", r"line 2: the intensity .* of 0 or more, got '-5'; leave"),
        ("2019-01-01T00:00Z,nan", r"line 2: .* got 'nan'"),
        ("2019-01-01T00:00Z,n/a", r"line 2: .* got 'n/a'"),
        ("2019-01-01T00:00Z,230000", r"line 2: .* at most 5000 g/kWh.* got '230000' .* the unit"),
        ("2019-01-01T00:00Z,1\n2019-01-01T00:00Z,1", r"line 3: instants must rise, .* sort"),
        ("2019-01-01T02:00Z,1\n2019-01-01T01:00Z,1", r"line 3: instants must rise"),
        ("yesterday,1", r"line 2: the instant must be in ISO 8601, got 'yesterday'; write"),
        ("2019-01-01T00:00Z,1,2", r"line 2: must have 2 cells as the heading has, got 3"),
        ("2019-01-01T00:00Z,1", r"at least two rows"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, rows: str, message: str) -> None:
    path = write(tmp_path, f"timestamp_utc,g_per_kwh\n{rows}\n")
    with pytest.raises(DataError, match=message) as told:
        read_trace(path)
    assert str(path) in str(told.value)


def test_a_naive_instant_is_refused_where_no_heading_says_utc(tmp_path: Path) -> None:
    path = write(tmp_path, "timestamp,g_per_kwh\n2019-01-01T00:00:00,1\n")
    with pytest.raises(DataError, match=r"line 2: the instant must say its offset .* add Z"):
        read_trace(path)


@pytest.mark.parametrize("heading", ["time,value", "timestamp_utc,mw", ""])
def test_an_unknown_heading_is_told_the_known_ones(tmp_path: Path, heading: str) -> None:
    with pytest.raises(DataError, match=r"line 1: the heading must be timestamp_utc,g_per_kwh"):
        read_trace(write(tmp_path, f"{heading}\n1,2\n"))


@pytest.mark.parametrize("text", [MAPS_NOW, MAPS_BEFORE])
def test_electricity_maps_old_and_new(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "\ufeff" + text)
    trace = read_trace(path)
    assert [step.g_per_kwh for step in trace.steps] == [260.5, 270.5]
    assert [step.estimated for step in trace.steps] == [False, True]
    assert (trace.region, trace.basis) == ("DE", "location-based, life-cycle")
    direct = read_trace(path, factors="direct")
    assert [step.g_per_kwh for step in direct.steps] == [200.5, 210.5]
    assert direct.basis == "location-based, direct"


def test_electricity_maps_with_two_zones_or_without_the_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: one file must hold one zone, got DE and FR"):
        read_trace(write(tmp_path, MAPS_NOW.replace("DE,210.5", "FR,210.5")))
    only_direct = MAPS_NOW.replace("(Life cycle)", "(other)")
    with pytest.raises(DataError, match=r"must have the column \(life-cycle\), got .*factors"):
        read_trace(write(tmp_path, only_direct))


def test_factors_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="factors: must be 'life-cycle' or 'direct', got 'lca'"):
        read_trace(write(tmp_path, MAPS_NOW), factors="lca")  # type: ignore[arg-type]


def test_uk_takes_the_actual_value_and_else_marks_the_forecast(tmp_path: Path) -> None:
    answer = uk(
        ("2018-01-20T12:00Z", "2018-01-20T12:30Z", 266, 263),
        ("2018-01-20T12:30Z", "2018-01-20T13:00Z", 270, None),
        ("2018-01-20T13:00Z", "2018-01-20T13:30Z", None, None),
        ("2018-01-20T13:30Z", "2018-01-20T14:00Z", 280, 0),
    )
    trace = read_trace(write(tmp_path, answer, "uk.json"))
    assert [(step.g_per_kwh, step.estimated) for step in trace.steps] == [
        (263, False),
        (270, True),
        (0, False),
    ]
    assert trace.region == "GB"
    assert trace.filled_share(trace.start, trace.end) == pytest.approx(0.5 / 2)


@pytest.mark.parametrize("listed", [True, False])
def test_uk_of_one_region(tmp_path: Path, listed: bool) -> None:
    rows = uk(("2018-01-20T12:00Z", "2018-01-20T12:30Z", 266, None))["data"]
    region = {"regionid": 13, "shortname": "London", "data": rows}
    trace = read_trace(write(tmp_path, {"data": [region] if listed else region}, "uk.json"))
    assert trace.region == "GB London"
    assert all(step.estimated for step in trace.steps)


def test_watttime_converts_pounds_and_is_marginal(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, watttime(), "watttime.json"))
    assert [step.g_per_kwh for step in trace.steps] == pytest.approx([453.59237, 226.796185])
    assert (trace.region, trace.kind) == ("CAISO_NORTH", "marginal")
    assert trace.end - trace.start == timedelta(minutes=10)


def test_watttime_average_signal_and_forecast(tmp_path: Path) -> None:
    answer = watttime(signal_type="co2_aoer", generated_at="2026-11-01T00:00:00+00:00")
    trace = read_trace(write(tmp_path, answer))
    assert trace.kind == "average"
    assert all(step.estimated for step in trace.steps)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"units": "kg_co2_per_mwh"}, r"'meta.units' must be 'lbs_co2_per_mwh', got 'kg_co2"),
        ({"signal_type": "health_damage"}, r"'meta.signal_type' must be .* got 'health_damage'"),
    ],
)
def test_other_watttime_signals_are_refused(
    tmp_path: Path, meta: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_trace(write(tmp_path, watttime(**meta)))


def test_a_stored_answer_of_electricity_maps(tmp_path: Path) -> None:
    answer = {
        "zone": "DE",
        "history": [
            {
                "carbonIntensity": 302,
                "datetime": "2026-11-21T08:00:00.000Z",
                "emissionFactorType": "direct",
                "isEstimated": True,
            }
        ],
    }
    trace = read_trace(write(tmp_path, answer))
    assert (trace.region, trace.basis) == ("DE", "location-based, direct")
    assert trace.end - trace.start == timedelta(hours=1)
    assert all(step.estimated for step in trace.steps)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"begins like JSON but is none"),
        ("[1]", r"JSON must be an answer of"),
        ('{"data": 3}', r"'data' must be a list of objects, got '3'"),
        ('{"data": [{"from": "2018-01-20T12:00Z"}]}', r"entry 1: must have 'intensity', but has"),
        ('{"data": [{"intensity": 3}]}', r"entry 1: 'intensity' must be an object, got 3"),
        ('{"zone": "DE", "history": [{"carbonIntensity": 3}]}', r"entry 1: must have 'datetime'"),
        ('{"zone": "DE", "history": [{"carbonIntensity": true}]}', r"entry 1: .* got True"),
        ('{"zone": "DE"}', r"'history' must be a list"),
    ],
)
def test_broken_json_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_trace(write(tmp_path, content))


def test_json_out_of_order_is_refused(tmp_path: Path) -> None:
    row = ("2018-01-20T12:00Z", "2018-01-20T12:30Z", 266, 263)
    with pytest.raises(DataError, match=r"entry 2: instants must rise, but this one repeats"):
        read_trace(write(tmp_path, uk(row, row)))


def test_a_missing_file_and_a_binary_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: a carbon trace must be .* cannot be read"):
        read_trace(tmp_path / "none.csv")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_trace(tmp_path / "bytes")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_decimal_comma_where_cells_are_separated_otherwise(
    tmp_path: Path, separator: str
) -> None:
    rows = [("timestamp_utc", "g_per_kwh"), ("2025-09-01T00:00Z", "100,5"), ("", "")]
    rows += [("2025-09-01T01:00Z", ",5"), ("2025-09-01T02:00Z", "1")]
    text = "\n".join(separator.join(row) for row in rows)
    assert [step.g_per_kwh for step in read_trace(write(tmp_path, text)).steps] == [100.5, 0.5, 1]


def test_a_comma_among_commas_is_no_decimal_comma(tmp_path: Path) -> None:
    text = 'timestamp_utc,g_per_kwh\n2025-09-01T00:00Z,"1,500"\n2025-09-01T01:00Z,1\n'
    with pytest.raises(DataError, match=r"line 2: the intensity must be .* got '1,500'"):
        read_trace(write(tmp_path, text))
    path = write(tmp_path, "timestamp_utc;g_per_kwh\n2025-09-01T00:00Z;1.500,5\n")
    with pytest.raises(DataError, match=r"line 2: the intensity must be .* got '1.500,5'"):
        read_trace(path)


def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match=r"pipe\.csv: a carbon trace .* no ordinary file"):
        read_trace(tmp_path / "pipe.csv")


@pytest.mark.parametrize("instant", ["0001-01-01T00:00Z", "9999-12-31T23:59Z"])
def test_instants_of_other_ages_are_refused(tmp_path: Path, instant: str) -> None:
    path = write(tmp_path, f"timestamp_utc,g_per_kwh\n{instant},1\n")
    with pytest.raises(DataError, match=r"line 2: the instant must lie in the years 1900 to 2200"):
        read_trace(path)

"""Whatever happened to a trace's file: a trace, or one message that names the file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given

from contracts.mutations import in_time, mutated, profile
from greenfront.errors import DataError
from greenfront.objectives.carbon.trace_files import read_trace
from greenfront.objectives.carbon.traces import as_instant

PLAIN = "timestamp_utc,g_per_kwh\n" + "".join(
    f"2025-09-01T{hour:02}:00Z,{100 + hour}\n" for hour in range(20)
)
DECIMAL = PLAIN.replace(",", ";").replace("1", "1,5", 3)
MAPS = (
    "Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),"
    "Carbon intensity gCO₂eq/kWh (Life cycle),Data estimated\n"
) + "".join(
    f"2025-09-01 {hour:02}:00:00,Germany,Germany,DE,{300 + hour},{350 + hour},false\n"
    for hour in range(20)
)
UK = json.dumps(
    {
        "data": [
            {
                "from": f"2025-09-01T{hour:02}:00Z",
                "to": f"2025-09-01T{hour + 1:02}:00Z",
                "intensity": {"forecast": 100, "actual": 90 + hour},
            }
            for hour in range(20)
        ]
    }
)
WATTTIME = json.dumps(
    {
        "meta": {
            "units": "lbs_co2_per_mwh",
            "signal_type": "co2_moer",
            "data_point_period_seconds": 3600,
        },
        "data": [
            {"point_time": f"2025-09-01T{hour:02}:00:00+00:00", "value": 800.5}
            for hour in range(20)
        ],
    }
)
SERVICE = json.dumps(
    {
        "zone": "DE",
        "history": [
            {"datetime": f"2025-09-01T{hour:02}:00:00.000Z", "carbonIntensity": 300}
            for hour in range(20)
        ],
    }
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces") / "trace.csv"


@given(data=mutated(*(text.encode() for text in (PLAIN, DECIMAL, MAPS, UK, WATTTIME, SERVICE))))
@profile()
def test_mutated_traces(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        with in_time():
            trace = read_trace(path)
    except DataError as error:
        told = str(error)
    else:
        told = ""
    if told:
        assert "trace.csv" in told
        return
    values = [step.g_per_kwh for step in trace.steps]
    assert 0 <= min(values) <= trace.mean() * (1 + 1e-9) <= max(values) * (1 + 2e-9)
    assert math.isfinite(trace.mean())
    assert as_instant(trace.steps[0].start_seconds) == trace.start < trace.end

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from contracts.meters import MeterContract, joules
from greenfront.errors import MeterError
from greenfront.objectives.metering import codecarbon
from greenfront.objectives.metering.codecarbon import CodeCarbonMeter, offline_tracker
from greenfront.objectives.metering.cpu_model import CpuModelMeter
from greenfront.objectives.metering.crosscheck import CrossCheck, cross_check
from greenfront.objectives.metering.meter import Snapshot
from greenfront.objectives.readings import Reading


def burn(cpu_seconds: float) -> None:
    until = time.process_time() + cpu_seconds
    while time.process_time() < until:
        pass


class TestCodeCarbonMeter(MeterContract):
    @pytest.fixture
    def meter(self) -> CodeCarbonMeter:
        # A lone process on the machine: its share is 1, whatever else runs here.
        return CodeCarbonMeter(machine_seconds=lambda: 0.0)

    def work(self, joules_wanted: float) -> None:
        burn(0.06 + joules_wanted / 10)  # CodeCarbon looks no more often than every 50 ms


def test_the_share_of_the_machine_is_charged() -> None:
    meter = CodeCarbonMeter()
    reading = meter.reading(Snapshot(0.0, 1.0, 10.0, 100.0), Snapshot(4.0, 3.0, 18.0, 140.0))
    assert reading.joules == 40 * 2 / 8
    assert reading.kind == "modelled"
    assert reading.source.startswith("CodeCarbon ")


def test_two_snapshots_at_once_tell_nothing_and_not_zero() -> None:
    meter = CodeCarbonMeter()
    same = meter.snapshot(os.getpid())
    reading = meter.reading(same, same)
    assert (reading.joules, reading.kind) == (None, "unavailable")


def test_a_tracker_that_falls_silent_gives_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = CodeCarbonMeter()
    before = meter.snapshot(os.getpid())
    monkeypatch.setattr(meter._machine._tracker, "flush", lambda: None)
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert (reading.joules, reading.kind) == (None, "unavailable")
    assert "told nothing of the CPU" in reading.flags[0]


def test_without_busy_time_there_is_no_share() -> None:
    with pytest.raises(MeterError, match=r"busy CPU time .* no /proc/stat"):
        CodeCarbonMeter(machine_seconds=lambda: None)


def test_a_process_has_one_tracker() -> None:
    assert CodeCarbonMeter()._machine is CodeCarbonMeter()._machine


def test_neither_files_nor_the_environment_configure_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".codecarbon.config").write_text(
        "[codecarbon]\nemissions_endpoint = http://127.0.0.1:9\npue = 7\nforce_cpu_power = 999\n"
        "electricitymaps_api_token = secret\nco2_signal_api_token = secret\nsave_to_api = true\n"
        "tracking_mode = process\nexperiment_name = theirs\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODECARBON_WUE", "3")
    monkeypatch.setenv("CODECARBON_OUTPUT_METHODS", "csv,api")
    tracker = offline_tracker("machine")
    for name, value in {
        "_pue": 1.0,
        "_wue": 0.0,
        "_force_cpu_power": None,
        "_emissions_endpoint": None,
        "_electricitymaps_api_token": "",
        "_output_methods": [],
        "_output_handlers": [],
        "_tracking_mode": "machine",
        "_experiment_name": "",
    }.items():
        assert getattr(tracker, name) == value, name


def test_a_tracker_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, **_settings: object) -> None: ...

    monkeypatch.setattr("codecarbon.OfflineEmissionsTracker", Broken)
    with pytest.raises(MeterError, match="did not start"):
        codecarbon.offline_tracker("machine")


def test_the_same_work_is_metered_both_ways() -> None:
    found = cross_check(CpuModelMeter(), lambda: burn(0.3))
    assert joules(found.ours) > 0
    assert found.ours.cpu_seconds >= 0.3
    assert found.ratio is not None
    assert found.ratio == joules(found.codecarbon) / joules(found.ours)


def reading(low: float | None, best: float | None, high: float | None) -> Reading:
    kind = "unavailable" if best is None else "modelled"
    return Reading(best, low, high, kind, "s", 1.0, 1.0)


@pytest.mark.parametrize(
    ("ours", "theirs", "ratio", "agree"),
    [
        (reading(5, 10, 20), reading(15, 30, 60), 3, True),
        (reading(5, 10, 20), reading(21, 30, 60), 3, False),
        (reading(5, 10, 20), reading(1, 2, 4), 0.2, False),
        (reading(5, 10, 20), reading(None, None, None), None, False),
        (reading(None, None, None), reading(5, 10, 20), None, False),
    ],
)
def test_two_readings_agree_where_their_bands_overlap(
    ours: Reading, theirs: Reading, ratio: float | None, agree: bool
) -> None:
    found = CrossCheck(ours, theirs)
    assert (found.ratio, found.agree) == (ratio, agree)

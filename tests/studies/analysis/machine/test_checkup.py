from __future__ import annotations

import dataclasses
import json
import os
import re
import sqlite3
from importlib.metadata import PackageNotFoundError, version

import pytest
from rich.console import Console

from contracts.hardware import LiveNvml
from greenfront.cli.doctor_text import facts_table
from greenfront.objectives.carbon.intensity import world_average
from greenfront.objectives.metering.cpu_model import CpuModelMeter
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.nvml import NvmlMeter
from greenfront.objectives.metering.nvml_power import Compared
from greenfront.objectives.metering.survey import ComponentStatus
from greenfront.studies.analysis.machine import checkup as module
from greenfront.studies.analysis.machine.checkup import OPTIONAL, PACKAGES, Facts, checkup


def printed(facts: Facts) -> str:
    console = Console(width=400)
    with console.capture() as capture:
        console.print(facts_table(facts))
    return capture.get()


def test_names_instruments_versions_and_carbon_data() -> None:
    found = checkup()
    components = {status.component for status in found.instruments}
    assert components == {"cpu", "gpu", "dram"}
    assert len([s for s in found.instruments if s.component == "cpu" and s.chosen]) == 1
    assert {name: found.facts.packages[name] for name in PACKAGES} == {
        name: version(name) for name in PACKAGES
    }
    assert found.facts.cpu_threads == os.cpu_count()
    assert found.facts.carbon_regions > 200
    assert found.facts.world_g_per_kwh == world_average().g_per_kwh


@pytest.mark.parametrize(("version", "warned"), [((3, 40, 1), True), ((3, 51, 3), False)])
def test_a_version_of_sqlite_with_a_fault_is_told(
    version: tuple[int, ...], warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = ".".join(map(str, version))
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    monkeypatch.setattr(sqlite3, "sqlite_version", name)
    facts = checkup().facts
    assert facts.sqlite == name
    assert ("WAL-reset bug" in facts.sqlite_warning) is warned
    assert (f"{name}; before" in printed(facts)) is warned


def test_missing_packages_are_named_with_their_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(module, "version", missing)
    facts = checkup().facts
    assert facts.packages == dict.fromkeys([*PACKAGES, *OPTIONAL])
    said = printed(facts)
    for name in PACKAGES:
        assert re.search(rf"{name} +missing: reinstall greenfront", said)
    for name, extra in OPTIONAL.items():
        assert re.search(rf"{name} +not installed: pip install 'greenfront\[{extra}\]'", said)


def test_json() -> None:
    """Its keys are names, which scripts may rely on; sentences are for people."""
    found = checkup()
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["facts"] == dataclasses.asdict(found.facts)
    nothing = {"cross_check": None, "gpu_cross_check": None, "left_power_limits": []}
    assert set(told) == {"instruments", "facts", *nothing}
    assert set(told["facts"]) == {
        "python",
        "sqlite",
        "sqlite_warning",
        "cpu_threads",
        "packages",
        "carbon_regions",
        "world_g_per_kwh",
        "world_source",
    }
    assert set(told["facts"]["packages"]) == {*PACKAGES, *OPTIONAL}
    assert [s["component"] for s in told["instruments"]] == [s.component for s in found.instruments]
    assert {name: told[name] for name in nothing} == nothing


def test_idle_watching_and_comparing_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    real = module.survey

    def survey(*, idle: bool) -> list[ComponentStatus]:
        asked.append(idle)
        return real()

    monkeypatch.setattr(module, "survey", survey)
    monkeypatch.setattr(module, "COMPARED_SECONDS", 0.2)
    found = checkup(idle=True, compare=True)
    assert asked == [True]
    assert found.compared is not None
    assert found.compared.ours.cpu_seconds >= 0.2
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(told["cross_check"]) == {"ours", "codecarbon", "ratio", "agree"}
    assert told["cross_check"]["ratio"] == found.compared.ratio
    assert told["cross_check"]["ours"]["joules"] == found.compared.ours.joules


def test_a_gpu_is_watched_by_its_counter_and_its_power(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    meter = NvmlMeter(LiveNvml(100.0, "GPU-a"), resolution_seconds=0.01)
    seen: list[NvmlMeter] = []

    def watched(card: NvmlMeter, seconds: float) -> Compared:
        seen.append(card)
        return Compared(seconds, 300.0, 150.0, 0.12)

    monkeypatch.setattr(module, "detect", lambda: Instruments((CpuModelMeter(), meter)))
    monkeypatch.setattr(module, "cross_check_card", watched)
    monkeypatch.setattr(module, "COMPARED_SECONDS", 0.1)
    found = checkup(compare=True)
    assert seen == [meter]
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))["gpu_cross_check"]
    assert told == {
        "wall_seconds": 0.1,
        "counter_joules": 300.0,
        "power_joules": 150.0,
        "allowed_share": 0.12,
        "share": -0.5,
        "agree": False,
    }

from __future__ import annotations

import json
import os
import sqlite3
from importlib.metadata import PackageNotFoundError, version

import pytest

from greenfront.objectives.metering.survey import ComponentStatus
from greenfront.studies.analysis.machine import checkup as module
from greenfront.studies.analysis.machine.checkup import OPTIONAL, PACKAGES, checkup


def test_names_instruments_versions_and_carbon_data() -> None:
    found = checkup()
    components = {status.component for status in found.instruments}
    assert components == {"cpu", "gpu", "dram"}
    assert len([s for s in found.instruments if s.component == "cpu" and s.chosen]) == 1
    assert {name: found.facts[name] for name in PACKAGES} == {
        name: version(name) for name in PACKAGES
    }
    assert found.facts["CPU threads"] == str(os.cpu_count())
    assert "FRA" in found.facts["carbon regions"]
    assert int(found.facts["carbon regions"].split(",")[0]) > 200
    assert "g/kWh" in found.facts["without a region"]


@pytest.mark.parametrize(("version", "warned"), [((3, 40, 1), True), ((3, 51, 3), False)])
def test_a_version_of_sqlite_with_a_fault_is_told(
    version: tuple[int, ...], warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = ".".join(map(str, version))
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    monkeypatch.setattr(sqlite3, "sqlite_version", name)
    told = checkup().facts["SQLite"]
    assert told.startswith(name)
    assert ("WAL-reset bug" in told) is warned


def test_missing_packages_are_named_with_their_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(module, "version", missing)
    facts = checkup().facts
    assert facts["torch"] == "missing: reinstall greenfront"
    assert {facts[name] for name in PACKAGES} == {"missing: reinstall greenfront"}
    for name, extra in OPTIONAL.items():
        assert facts[name] == f"not installed: pip install 'greenfront[{extra}]'"


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    found = checkup()
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["facts"] == dict(found.facts)
    assert [s["component"] for s in told["instruments"]] == [s.component for s in found.instruments]
    assert told["cross_check"] is None


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

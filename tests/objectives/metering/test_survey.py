from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

from contracts.hardware import FakeCard, FakeNvml, Machine
from greenfront.objectives.metering import survey as module
from greenfront.objectives.metering.codecarbon import CodeCarbonMeter
from greenfront.objectives.metering.instruments import choose, detect, open_instruments
from greenfront.objectives.metering.meter import IdlePower, Meter
from greenfront.objectives.metering.settings import MeteringSettings
from greenfront.objectives.metering.survey import ComponentStatus, survey
from greenfront.objectives.readings import Component

NAMES = [
    "CPU counter (RAPL)",
    "CPU model",
    "CodeCarbon",
    "GPU (NVML)",
    "DRAM counter (RAPL)",
    "DRAM model",
]


def looked(*, idle: bool = False) -> dict[str, ComponentStatus]:
    found = survey(idle=idle)
    assert [status.name for status in found] == NAMES
    return {status.name: status for status in found}


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without counters."""
    monkeypatch.setattr(module, "rapl", lambda component: (None, f"{component}: gone; buy one"))
    monkeypatch.setattr(module, "nvml", lambda: (None, "nvml: gone; buy one"))
    monkeypatch.setattr(module, "AMD_GPU", Path("/no/such/module"))


@pytest.fixture
def everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Meter]:
    """A machine with all counters."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    machine = Machine(tmp_path / "powercap")
    machine.add("intel-rapl:0", "package-0")
    machine.add("intel-rapl:0:1", "dram")
    meters = {"cpu": machine.meter(), "dram": machine.meter(component="dram")}
    gpu = FakeNvml([FakeCard("GPU-a")]).meter(resolution_seconds=0.07)
    monkeypatch.setattr(module, "rapl", lambda component: (meters[component], ""))
    monkeypatch.setattr(module, "nvml", lambda: (gpu, ""))
    return [*meters.values(), gpu]


@pytest.mark.usefixtures("nothing")
def test_what_is_missing_comes_with_its_remedy() -> None:
    found = looked()
    for name in ("CPU counter (RAPL)", "GPU (NVML)", "DRAM counter (RAPL)"):
        status = found[name]
        assert (status.kind, status.source, status.chosen) == ("unavailable", None, False)
        assert status.missing is not None
        assert status.missing.endswith(": gone")
        assert status.remedy == "buy one"
        assert (status.resolution_seconds, status.idle_watts) == (None, None)
    assert found["CPU model"].chosen
    assert not found["DRAM model"].chosen
    assert 'dram = "model"' in found["DRAM model"].remark
    assert "CodeCarbon's list" in found["CPU model"].remark


@pytest.mark.usefixtures("everything")
def test_counters_say_how_fine_they_are_and_what_idle_power_needs() -> None:
    found = looked()
    for name, key in {
        "CPU counter (RAPL)": "idle_watts",
        "GPU (NVML)": "gpu_idle_watts",
        "DRAM counter (RAPL)": "dram_idle_watts",
    }.items():
        status = found[name]
        assert (status.kind, status.chosen, status.missing) == ("measured", True, None)
        assert f"[metering] {key} states it" in status.remark
    assert found["GPU (NVML)"].resolution_seconds == 0.07
    assert not found["CPU model"].chosen


def test_idle_power_is_measured_on_demand(
    everything: list[Meter], monkeypatch: pytest.MonkeyPatch
) -> None:
    powers: dict[Component, IdlePower] = {
        "cpu": IdlePower(11, 10, 12),
        "gpu": IdlePower(70, 69, 71),
    }
    asked: list[list[Meter]] = []

    def measure(meters: list[Meter]) -> dict[Component, IdlePower]:
        asked.append(meters)
        return powers

    monkeypatch.setattr(module, "measure_idle", measure)
    found = looked(idle=True)
    assert asked == [everything]
    assert found["CPU counter (RAPL)"].idle_watts == 11
    assert found["CPU counter (RAPL)"].remark == ""
    assert found["GPU (NVML)"].idle_watts == 70
    assert found["CPU model"].idle_watts is None


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize(("amd", "system"), [(True, "Linux"), (False, "Darwin")])
def test_hardware_that_is_not_supported_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, amd: bool, system: str
) -> None:
    monkeypatch.setattr(module, "AMD_GPU", tmp_path if amd else tmp_path / "none")
    monkeypatch.setattr(module.platform, "system", lambda: system)
    remedy = looked()["GPU (NVML)"].remedy
    assert remedy is not None
    assert ("AMD" in remedy, "Apple" in remedy) == (amd, not amd)
    assert "not supported" in remedy


def test_this_machine_is_surveyed_as_a_study_would_choose() -> None:
    chosen = [status.source for status in survey() if status.chosen]
    assert sorted(map(str, chosen)) == sorted(meter.source for meter in detect().meters)


def test_nothing_connects_to_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    class LocalSocket(real):
        def __init__(self, family: int = -1, *rest: Any, **named: Any) -> None:
            if family != socket.AF_UNIX:
                raise AssertionError(f"a socket of family {family} was opened")
            super().__init__(family, *rest, **named)

    def refuse(*_anything: Any, **_named: Any) -> NoReturn:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(socket, "socket", LocalSocket)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(AssertionError, match="family"):
        socket.socket(socket.AF_INET)
    survey()
    metered = open_instruments(MeteringSettings(cpu="codecarbon", dram="model", gpu="off"))
    before = metered.snapshot(1, cpu_seconds=0.0)
    assert not any(snapshot.trouble for snapshot in before)
    choose(MeteringSettings())
    CodeCarbonMeter()

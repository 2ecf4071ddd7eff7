"""Plans on a machine whose counter is a file."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest

from contracts.hardware import RESOLUTION_SECONDS, LiveMachine, Machine
from greenfront.cli.plan_text import plan_text
from greenfront.errors import MeterError
from greenfront.objectives.codec import to_json
from greenfront.objectives.metering import instruments
from greenfront.objectives.metering.idle import measure_idle
from greenfront.objectives.metering.meter import IdlePower
from greenfront.objectives.metering.process_tree import machine_cpu_seconds
from greenfront.objectives.metering.rapl import RaplMeter
from greenfront.objectives.readings import Component, total
from greenfront.search.planning.plan import plan_study
from greenfront.studies.config.carbon import CarbonSection
from greenfront.studies.config.study_file import StudyFile

TESTS = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """This one, as if it had a counter of its package and no GPU."""
    machine = Machine(tmp_path / "powercap")
    machine.add("intel-rapl:0", "package-0")

    def counter(component: Component, idle: IdlePower | None) -> tuple[RaplMeter | None, str]:
        if component != "cpu":
            return None, "not there"
        return RaplMeter(machine.root, idle=idle, resolution_seconds=RESOLUTION_SECONDS), ""

    monkeypatch.setattr(instruments, "rapl", counter)
    monkeypatch.setattr(instruments, "nvml", lambda _idle: (None, "not there"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
    return machine


def study(**metering: Any) -> StudyFile:
    return StudyFile.from_stored(
        {
            "study": {"name": "forecast"},
            "task": {"kind": "digits"},
            "space": {"architectures": ["mlp"], "references": False},
            "training": {"epochs": 2, "fine_tune_epochs": 1},
            "budget": {"trials": 6, "kwh": 1.0},
            "metering": {"block_seconds": 0.01, **metering},
        }
    )


def test_a_plan_takes_the_idle_power_off_as_a_search_does(machine: Machine) -> None:
    file = study(idle_watts=0.5)
    embodied = {"g_per_kwh": 100, "embodied_kg_per_device_hour": 0.5, "device_threads": 4}
    file = file.model_copy(update={"carbon": CarbonSection(**embodied)})
    with LiveMachine(machine, machine_cpu_seconds, 20.0):
        found = plan_study(file)
    assert {sample.epoch.source for sample in found.samples} == {
        "RAPL counters of 1 CPU package(s) minus those of the idle machine × share of busy CPU time"
    }
    assert found.kind == "measured"
    assert found.kwh is not None
    assert found.kwh > 0
    epochs = total(sample.epoch for sample in found.samples)
    assert epochs.kwh is not None
    hours = found.kwh * epochs.cpu_seconds / 3600 / epochs.kwh
    assert found.co2_kg == pytest.approx(0.1 * found.kwh + 0.5 * hours / 4)


def test_idle_power_that_nobody_stated_is_measured(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = iter([0.0, 1000.0])
    soon = functools.partial(measure_idle, seconds=0.05, machine_seconds=lambda: next(busy))
    monkeypatch.setattr(instruments, "measure_idle", soon)
    with pytest.raises(MeterError, match=r"others used .* stop what runs beside, or state .*idle"):
        plan_study(study())


def test_what_no_instrument_tells_is_unknown_and_not_free(machine: Machine) -> None:
    # The counter stands still.
    found = plan_study(study(idle_watts=0.5))
    assert [sample.trial_kwh for sample in found.samples] == [None] * len(found.samples)
    assert (found.kwh, found.low_kwh, found.high_kwh, found.co2_kg) == (None, None, None, None)
    assert found.kind == "unavailable"
    assert found.minutes is not None
    assert any("cannot be told" in r and "counter did not move" in r for r in found.remarks)
    assert not any("energy budget" in remark for remark in found.remarks)
    assert to_json(found)["kwh"] is None
    plan_text(found)

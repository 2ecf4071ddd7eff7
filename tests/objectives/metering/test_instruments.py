from __future__ import annotations

import json
import os

import pytest

from contracts.meters import ended_process
from greenfront.errors import MeterError
from greenfront.objectives.metering import instruments
from greenfront.objectives.metering.cpu_model import (
    CpuDescription,
    CpuModelMeter,
    generic_watts,
    stated_watts,
)
from greenfront.objectives.metering.instruments import (
    Instruments,
    detect,
    require_pinned,
    survey,
)
from greenfront.objectives.metering.meter import Component, Meter, Snapshot
from greenfront.objectives.metering.nvml import NvmlMeter
from greenfront.objectives.metering.rapl import RaplMeter
from greenfront.objectives.readings import Reading


class Gpu(Meter):
    component: Component = "gpu"
    kind = "measured"
    source = "a counter"
    resolution_seconds = 0.1
    max_silence_seconds = 60.0

    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
        assert cpu_seconds is not None
        return Snapshot(0.0, cpu_seconds, None, 5.0)

    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        return Reading(1.0, 1.0, 1.0, "measured", self.source, 0.0, 0.0)


class Cpu(Gpu):
    component = "cpu"
    source = "another counter"


def both() -> Instruments:
    return Instruments((CpuModelMeter(generic_watts()), Gpu()))


def found(monkeypatch: pytest.MonkeyPatch, *, rapl: bool, gpu: bool, virtual: bool = False) -> None:
    """Makes this machine look like one that has the given counters."""

    def make(meter: type[Meter], there: bool) -> object:
        def construct(**settings: float) -> Meter:
            if not there:
                raise MeterError("counter: not found; buy another machine")
            return meter()

        return construct

    cpu = CpuDescription("", 0, 0, virtual)
    monkeypatch.setattr(instruments, "describe_cpu", lambda: cpu)
    monkeypatch.setattr(instruments, RaplMeter.__name__, make(Cpu, rapl))
    monkeypatch.setattr(instruments, NvmlMeter.__name__, make(Gpu, gpu))


def test_all_meters_share_one_walk_of_the_process_tree() -> None:
    cpu, gpu = both().snapshot(os.getpid())
    assert cpu.cpu_seconds == gpu.cpu_seconds > 0


def test_readings_are_keyed_by_component() -> None:
    metered = both()
    before = metered.snapshot(os.getpid(), cpu_seconds=1.0)
    after = metered.snapshot(os.getpid(), cpu_seconds=2.0)
    readings = metered.readings(before, after)
    assert list(readings) == ["cpu", "gpu"]
    assert readings["cpu"].joules == 4


def test_a_process_that_does_not_exist_is_refused() -> None:
    with pytest.raises(MeterError, match="no such process"):
        both().snapshot(ended_process())


def test_two_meters_of_a_component_are_refused() -> None:
    with pytest.raises(MeterError, match="one for each component, got gpu, gpu"):
        Instruments((Gpu(), Gpu()))


def test_the_shortest_silence_counts() -> None:
    assert both().max_silence_seconds == 60


def test_a_pin_survives_json_and_equal_instruments_pass() -> None:
    pinned = json.loads(json.dumps(both().pin()))
    assert pinned[1] == {"component": "gpu", "kind": "measured", "source": "a counter"}
    require_pinned(pinned, both().pin())


@pytest.mark.parametrize(
    ("here", "message"),
    [
        (
            Instruments((CpuModelMeter(stated_watts(9)), Gpu())),
            r"cpu energy was 'modelled: .*4 W.*' when .* is 'modelled: .*9 W.*' here; resume",
        ),
        (Instruments((Cpu(), Gpu())), r"cpu energy was 'modelled: .* is 'measured: another"),
        (
            Instruments((CpuModelMeter(generic_watts()),)),
            r"gpu energy was 'measured: a counter' .* is 'not metered' here",
        ),
        (Instruments(()), r"cpu energy was .* and gpu energy was .*new study"),
    ],
)
def test_other_instruments_are_refused_naming_both(here: Instruments, message: str) -> None:
    with pytest.raises(MeterError, match=message):
        require_pinned(both().pin(), here.pin())


def test_a_component_that_appeared_is_refused() -> None:
    with pytest.raises(MeterError, match="gpu energy was 'not metered'"):
        require_pinned(Instruments(()).pin(), Instruments((Gpu(),)).pin())


@pytest.mark.parametrize(
    ("rapl", "gpu", "virtual", "kinds"),
    [
        (True, True, False, {"cpu": "measured", "gpu": "measured"}),
        (False, True, False, {"cpu": "modelled", "gpu": "measured"}),
        (True, False, False, {"cpu": "measured"}),
        (True, False, True, {"cpu": "modelled"}),
    ],
)
def test_the_best_source_that_works_is_found(
    monkeypatch: pytest.MonkeyPatch, rapl: bool, gpu: bool, virtual: bool, kinds: dict[str, str]
) -> None:
    found(monkeypatch, rapl=rapl, gpu=gpu, virtual=virtual)
    assert {meter.component: meter.kind for meter in detect().meters} == kinds


def test_who_states_watts_gets_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, rapl=True, gpu=False)
    assert "6 W per busy thread (stated by the user)" in detect(6.0).pin()[0]["source"]


def test_the_survey_tells_what_is_missing_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, rapl=False, gpu=True)
    rapl, model, gpu, dram = survey()
    assert (rapl.kind, rapl.source, rapl.chosen) == ("unavailable", None, False)
    assert (rapl.missing, rapl.remedy) == ("counter: not found", "buy another machine")
    assert (model.kind, model.chosen, model.missing) == ("modelled", True, None)
    assert (gpu.kind, gpu.chosen, gpu.resolution_seconds) == ("measured", True, 0.1)
    assert (dram.kind, dram.chosen) == ("unavailable", False)
    assert dram.missing is not None
    assert "not metered yet" in dram.missing


def test_the_survey_chooses_what_a_study_would(monkeypatch: pytest.MonkeyPatch) -> None:
    for rapl in (True, False):
        found(monkeypatch, rapl=rapl, gpu=False)
        chosen = [status.source for status in survey() if status.chosen]
        assert chosen == [meter.source for meter in detect().meters]


def test_this_machine_can_be_surveyed_and_metered() -> None:
    assert [status.component for status in survey()] == ["cpu", "cpu", "gpu", "dram"]
    assert detect().meters[0].component == "cpu"

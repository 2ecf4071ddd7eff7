from __future__ import annotations

import json
import os

import pytest

from contracts.hardware import FakeCard, FakeNvml
from contracts.meters import ended_process
from greenfront.errors import MeterError
from greenfront.objectives.metering import instruments
from greenfront.objectives.metering.codecarbon import CodeCarbonMeter
from greenfront.objectives.metering.cpu_model import (
    CpuDescription,
    CpuModelMeter,
    generic_watts,
    stated_watts,
)
from greenfront.objectives.metering.dram_model import DramModelMeter
from greenfront.objectives.metering.instruments import (
    Instruments,
    choose,
    detect,
    open_instruments,
    require_device,
)
from greenfront.objectives.metering.meter import IdlePower, Meter, Snapshot
from greenfront.objectives.metering.nvml import NvmlMeter, NvmlPowerMeter
from greenfront.objectives.metering.pinned import meters_gpu, require_pinned
from greenfront.objectives.metering.rapl import RaplMeter
from greenfront.objectives.metering.settings import MeteringSettings
from greenfront.objectives.readings import Component, Reading


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


class Dram(Gpu):
    component = "dram"
    source = "a third counter"


class Power(Gpu):
    source = "integrated power"


def found(
    monkeypatch: pytest.MonkeyPatch,
    *,
    rapl: bool = False,
    gpu: bool = False,
    power: bool = False,
    dram: bool = False,
    virtual: bool = False,
) -> None:
    """Makes this machine look like one that has the given counters."""

    def make(meter: type[Meter], there: bool, name: str) -> Meter:
        if not there:
            raise MeterError(f"{name}: not found; buy another machine")
        return meter()

    def counter(component: Component, idle: IdlePower | None) -> Meter:
        made = make(Dram, dram, "dram") if component == "dram" else make(Cpu, rapl, "rapl")
        return based(made, idle)

    def based(meter: Meter, idle: IdlePower | None) -> Meter:
        meter.counts_idle, meter.idle = True, idle
        return meter

    monkeypatch.setattr(
        instruments, "describe_cpu", lambda: CpuDescription("", 0, 0, virtual=virtual)
    )
    monkeypatch.setattr(instruments, RaplMeter.__name__, counter)
    for kind, there in ((NvmlMeter, gpu), (NvmlPowerMeter, power)):
        made = Gpu if kind is NvmlMeter else Power
        monkeypatch.setattr(
            instruments,
            kind.__name__,
            lambda idle, made=made, there=there: based(make(made, there, "nvml"), idle),
        )


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
    ("there", "sources"),
    [
        ({"rapl", "gpu"}, ["another counter", "a counter"]),
        ({"gpu"}, ["cpu-seconds", "a counter"]),
        ({"power"}, ["cpu-seconds", "integrated power"]),
        ({"gpu", "power"}, ["cpu-seconds", "a counter"]),
        ({"rapl"}, ["another counter"]),
        ({"rapl", "dram"}, ["another counter", "a third counter"]),
        ({"rapl", "dram", "virtual"}, ["cpu-seconds"]),
        ({"dram"}, ["cpu-seconds"]),  # a measured part of a modelled whole would mislead
        (set(), ["cpu-seconds"]),
    ],
)
def test_the_best_source_that_works_is_found(
    monkeypatch: pytest.MonkeyPatch, there: set[str], sources: list[str]
) -> None:
    found(monkeypatch, **dict.fromkeys(there, True))
    assert [meter.source.split(" ×")[0] for meter in detect().meters] == sources


def test_who_states_watts_gets_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, rapl=True)
    assert "6 W per busy thread (stated by the user)" in detect(6.0).pin()[0]["source"]
    (memory,) = choose(MeteringSettings(watts_per_thread=6, watts_per_gb=2)).meters[1:]
    assert memory.source == "resident memory × 2 W per GB (stated by the user)"


def test_a_named_source_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, rapl=True, dram=True, gpu=True)
    settings = MeteringSettings(cpu="codecarbon", dram="model", gpu="off")
    chosen = choose(settings)
    assert [type(meter) for meter in chosen.meters] == [CodeCarbonMeter, DramModelMeter]
    assert chosen.missing["gpu"].startswith("switched off")
    modelled = choose(MeteringSettings(cpu="model", dram="rapl", gpu="nvml"))
    assert [meter.kind for meter in modelled.meters] == ["modelled", "measured", "measured"]
    (counted,) = choose(MeteringSettings(cpu="rapl", dram="off", gpu="off")).meters
    assert counted.source == "another counter"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (MeteringSettings(cpu="rapl"), r'cpu = "rapl": rapl: not found; buy'),
        (MeteringSettings(dram="rapl"), r'dram = "rapl": dram: not found; buy'),
        (MeteringSettings(gpu="nvml"), r'gpu = "nvml": nvml: not found; buy'),
    ],
)
def test_a_named_source_that_does_not_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, settings: MeteringSettings, message: str
) -> None:
    found(monkeypatch)
    with pytest.raises(MeterError, match=message):
        choose(settings)


def test_a_device_without_a_meter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch)
    require_device(detect(), "cpu")
    with pytest.raises(MeterError, match=r"device 'cuda': .*\(nvml: not found; buy .*\); make"):
        require_device(detect(), "cuda")
    with pytest.raises(MeterError, match=r"device 'cuda': .*switched off by"):
        require_device(choose(MeteringSettings(gpu="off")), "cuda")
    found(monkeypatch, gpu=True)
    require_device(detect(), "cuda")


def measured(monkeypatch: pytest.MonkeyPatch, **powers: float) -> list[list[str]]:
    """Answers measurements of idle power; returns who was asked about."""
    asked: list[list[str]] = []

    def measure(meters: list[Meter]) -> dict[str, IdlePower]:
        asked.append([meter.component for meter in meters])
        return {m.component: IdlePower(*[powers[m.component]] * 3) for m in meters}

    monkeypatch.setattr(instruments, "measure_idle", measure)
    return asked


def test_counters_get_an_idle_baseline_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, rapl=True, dram=True, gpu=True)
    asked, said = measured(monkeypatch, cpu=11.5, dram=2, gpu=70), list[str]()
    opened = open_instruments(MeteringSettings(), say=said.append)
    assert asked == [["cpu", "dram", "gpu"]]
    assert said == ["measures what the idle machine draws, for 10 s"]
    assert [entry["idle_watts"] for entry in opened.pin()] == ["11.5", "2", "70"]

    # A resumed study goes on with the baseline that it began with.
    again = open_instruments(MeteringSettings(), opened.pin(), said.append)
    assert again.pin() == opened.pin()
    assert len(asked) == len(said) == 1


def test_a_stated_baseline_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, rapl=True, gpu=True)
    asked = measured(monkeypatch, gpu=70)
    opened = open_instruments(MeteringSettings(idle_watts=9))
    assert asked == [["gpu"]]
    assert [entry["idle_watts"] for entry in opened.pin()] == ["9", "70"]


@pytest.mark.parametrize(("rapl", "counters"), [(True, [["cpu"]]), (False, [])])
def test_a_gpu_that_is_not_used_is_not_waited_for(
    rapl: bool, counters: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, rapl=rapl, gpu=True)
    asked = measured(monkeypatch, cpu=11.5)
    opened = open_instruments(MeteringSettings(), gpu=False)
    assert asked == counters
    assert [meter.component for meter in opened.meters] == ["cpu"]
    # What follows on the study takes its instruments, whatever else is here.
    pinned = opened.pin()
    again = open_instruments(MeteringSettings(), pinned, gpu=meters_gpu(pinned))
    require_pinned(pinned, again.pin())
    assert asked == counters


def test_models_need_no_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch)
    asked = measured(monkeypatch)
    opened = open_instruments(MeteringSettings(dram="model", idle_watts=9))
    assert asked == []
    assert all("idle_watts" not in entry for entry in opened.pin())


def test_another_idle_baseline_is_no_other_instrument() -> None:
    pin = [{"component": "cpu", "kind": "measured", "source": "RAPL", "idle_watts": "10"}]
    require_pinned(pin, [{**pin[0], "idle_watts": "11"}])


def test_a_supervisor_is_metered_without_what_its_children_use() -> None:
    whole = Instruments((CpuModelMeter(generic_watts()), DramModelMeter(2.0), Gpu()))
    own = whole.of_a_supervisor()
    assert [meter.component for meter in own.meters] == ["cpu", "dram"]
    assert own.pin() == whole.pin()[:2]
    assert own.meters[0] is whole.meters[0]
    assert own.meters[1] is not whole.meters[1]
    assert [meter.component for meter in whole.without("dram").meters] == ["cpu", "gpu"]


def test_the_metered_gpus_are_named() -> None:
    nvml = FakeNvml([FakeCard("GPU-b"), FakeCard("GPU-a")])
    assert Instruments((nvml.meter(),)).gpu_uuids == ("GPU-b", "GPU-a")
    assert both().gpu_uuids == ()

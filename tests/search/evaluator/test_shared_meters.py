"""Evaluators side by side: no joule of a shared counter is charged twice."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from contracts.contexts import Scripted
from contracts.evaluators import WATTS, Purse
from contracts.hardware import LiveMachine, LiveNvml, Machine
from greenfront.errors import Interrupted
from greenfront.objectives.metering.cpu_model import CpuModelMeter, stated_watts
from greenfront.objectives.metering.gpu_lease import GpuLease
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.nvml import NvmlMeter
from greenfront.objectives.metering.process_tree import machine_cpu_seconds
from greenfront.objectives.metering.rapl import RaplMeter
from greenfront.search.evaluator.launch import EvaluatorSettings
from greenfront.search.evaluator.process import Evaluator

WATTS_OF_THE_CARD = 200.0


def gpu_evaluator(tmp_path: Path, purse: Purse, meter: NvmlMeter, name: str) -> Evaluator:
    how = EvaluatorSettings("contracts.faulty_job:make", {}, tmp_path / f"{name}.log")
    instruments = Instruments((CpuModelMeter(stated_watts(WATTS)), meter))
    return Evaluator(how, instruments, purse)


def test_trials_side_by_side_lease_the_gpu_and_are_never_charged_twice(
    tmp_path: Path, purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = LiveNvml(WATTS_OF_THE_CARD, "GPU-a")
    meter = NvmlMeter(nvml, resolution_seconds=0.01)
    before = time.monotonic()
    evaluators = [gpu_evaluator(tmp_path, purse, meter, name) for name in ("one", "two")]
    said: list[str] = []

    def use(evaluator: Evaluator) -> None:
        context = Scripted(charge=purse.charge, progress=said.append)
        for _ in range(2):
            evaluator.call("work", 0.3, context, returns=object)

    threads = [threading.Thread(target=use, args=[evaluator]) for evaluator in evaluators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for evaluator in evaluators:
        evaluator.close(purse)
    seconds = time.monotonic() - before
    gpu = [reading for _, reading in purse.entries if "NVML" in reading.source]
    charged = sum(reading.joules or 0.0 for reading in gpu)
    # Both worked all the time, and together they are charged no more than the card counted.
    assert 0 < charged <= WATTS_OF_THE_CARD * seconds
    assert charged >= WATTS_OF_THE_CARD * 4 * 0.3
    assert any(message.startswith("waits for GPU GPU-a") for message in said)
    assert all(reading.kind == "measured" for reading in gpu)


def test_each_evaluator_sees_and_is_charged_a_card_of_its_own(
    tmp_path: Path, purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    nvml = LiveNvml(WATTS_OF_THE_CARD, "GPU-a", "GPU-b", "GPU-c")
    meter = NvmlMeter(nvml, resolution_seconds=0.01)

    def start(name: str) -> Evaluator:
        return gpu_evaluator(tmp_path, purse, meter, name)

    def card(evaluator: Evaluator) -> str:
        return evaluator.call("visible_cards", None, purse, returns=str)

    one, two, three = start("one"), start("two"), start("three")
    assert [card(one), card(two)] == ["GPU-c", "GPU-a"]
    assert card(three) == "GPU-c"  # there are no more, and calls take turns
    with GpuLease("GPU-c").held():
        two.call("work", 0.3, purse, returns=object)  # nobody is waited for
    two.close(purse)
    four = start("four")
    assert card(four) == "GPU-a"
    for evaluator in (one, three, four):
        evaluator.close(purse)
    gpu = [reading for _, reading in purse.entries if "NVML" in reading.source]
    charged = sum(reading.joules or 0.0 for reading in gpu)
    # Three cards would have drawn three times as much.
    assert 0 < charged < 1.5 * WATTS_OF_THE_CARD * sum(reading.wall_seconds for reading in gpu)


def test_waiting_for_a_gpu_may_be_given_up(
    tmp_path: Path, purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    meter = NvmlMeter(LiveNvml(WATTS_OF_THE_CARD, "GPU-a"), resolution_seconds=0.01)
    evaluator = gpu_evaluator(tmp_path, purse, meter, "one")
    context = Scripted(charge=purse.charge, stopping=lambda: True)
    with GpuLease("GPU-a").held(), pytest.raises(Interrupted):
        evaluator.call("work", 0.3, context, returns=object)
    assert not evaluator.alive
    assert not [reading for _, reading in purse.entries if "NVML" in reading.source]


def test_evaluators_side_by_side_are_charged_no_more_than_the_machine_counted(
    tmp_path: Path, purse: Purse
) -> None:
    machine = Machine(tmp_path / "powercap")
    machine.add("intel-rapl:0", "package-0")
    with LiveMachine(machine, machine_cpu_seconds, 20.0):
        meter = RaplMeter(machine.root, resolution_seconds=0.02)
        before = meter.snapshot(os.getpid(), cpu_seconds=0.0)
        context = purse
        how = [
            EvaluatorSettings("contracts.faulty_job:make", {}, tmp_path / f"{name}.log")
            for name in ("one", "two")
        ]
        evaluators = [Evaluator(one, Instruments((meter,)), context) for one in how]
        threads = [
            threading.Thread(
                target=evaluator.call, args=["work", 0.5, context], kwargs={"returns": object}
            )
            for evaluator in evaluators
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for evaluator in evaluators:
            evaluator.close(purse)
        after = meter.snapshot(os.getpid(), cpu_seconds=0.0)
    counted = (after.counter_joules or 0.0) - (before.counter_joules or 0.0)
    told = [reading for _, reading in purse.entries if reading.joules is not None]
    # The edges of windows may be as old as the counter's resolution.
    assert 0 < purse.joules() <= counted * 1.1
    assert sum(reading.cpu_seconds for reading in told) >= 2 * 0.5

"""Predictions on a GPU, whose part in these tests is played by the CPU and a counter of ours."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from contracts.card import play_card
from contracts.hardware import LiveNvml
from greenfront.errors import UsageError
from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.cpu_model import CpuModelMeter, stated_watts
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.meter import Meter
from greenfront.objectives.metering.nvml import NvmlMeter
from greenfront.objectives.stages import session
from greenfront.objectives.stages.evaluate import inference_cost, open_artefact, predictions
from greenfront.objectives.stages.export import INPUT, OUTPUT
from greenfront.objectives.stages.graph_key import graph_key
from greenfront.objectives.stages.metered import InferenceCost, Measuring
from greenfront.objectives.stages.reality import off_card
from greenfront.objectives.stages.session import left_on_cpu, open_session, session_options

WATTS, CARD_WATTS = 8.0, 300.0
INPUTS = np.arange(32, dtype=np.float32).reshape(8, 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that doubles its inputs."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in (INPUT, OUTPUT)
    ]
    node = helper.make_node("Add", [INPUT, INPUT], [OUTPUT])
    graph = helper.make_graph([node], "double", ends[:1], ends[1:])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU in the place of a GPU."""
    play_card(monkeypatch)


def measured(path: Path, *meters: Meter) -> InferenceCost:
    context = LocalContext(Instruments((CpuModelMeter(stated_watts(WATTS)), *meters)))
    return inference_cost(
        open_artefact(path, 1, "cuda"),
        INPUTS,
        context,
        phase="inference",
        measuring=Measuring(device="cuda", block_seconds=0.05),
    )


@pytest.mark.usefixtures("card")
def test_a_prediction_costs_what_cpu_and_card_draw(path: Path) -> None:
    cost = measured(path, NvmlMeter(LiveNvml(CARD_WATTS, "GPU-a"), resolution_seconds=0.001))
    reading = cost.reading
    assert reading.joules is not None
    # One thread works, at most for all of the time; the card draws its watts all the time.
    ratio = reading.joules / reading.wall_seconds
    assert CARD_WATTS * 0.95 < ratio < CARD_WATTS + 2 * WATTS
    assert "NVML" in reading.source
    assert any(flag.startswith("whole card") for flag in reading.flags)


@pytest.mark.usefixtures("card")
def test_without_its_energy_the_cost_is_unavailable(path: Path) -> None:
    """Neither counts as nothing: no meter, and one whose counter stands still."""
    untold = measured(path)
    assert untold.reading.joules is None
    assert "block too short for the counter of gpu" in untold.reading.flags
    still = measured(path, NvmlMeter(LiveNvml(0.0, "GPU-a"), resolution_seconds=0.001))
    assert still.reading.joules is None


@pytest.mark.usefixtures("card")
def test_answers_stay_in_the_cards_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, answers = open_artefact(path, 1, "cuda"), []
    run = onnxruntime.InferenceSession.run_with_iobinding

    def watched(self: object, binding: onnxruntime.IOBinding) -> None:
        run(opened, binding)
        (found,) = binding.get_outputs()
        answers.append((found.device_name(), found.numpy()))

    monkeypatch.setattr(onnxruntime.InferenceSession, "run_with_iobinding", watched)
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", None)
    work = predictions(opened, INPUTS, batch=4)
    for call in work.calls:
        call()
    assert [where for where, _ in answers] == ["cpu", "cpu"]
    np.testing.assert_array_equal(np.concatenate([found for _, found in answers]), 2 * INPUTS)
    assert work.on_card


def test_a_graph_on_a_card_is_another_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [graph_key(path, 1, {})]
    play_card(monkeypatch)
    keys.append(graph_key(path, 1, {}, "cuda"))
    assert len(set(keys)) == 2


def test_what_runs_on_the_cpu_all_the_same_is_counted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = session_options()
    options.add_session_config_entry(session.PLACES, "1")
    assert left_on_cpu(open_session(path, options)) == {"Add": 1}
    play_card(monkeypatch)
    assert not left_on_cpu(open_artefact(path, 1, "cuda"))


def test_sizes_may_be_found_on_the_cpu_but_nothing_that_is_work() -> None:
    assert off_card(Counter()) is None
    assert off_card(Counter(Shape=2, Gather=1)) is None
    told = off_card(Counter(Shape=2, QLinearConv=3, Gemm=1))
    assert told is not None
    assert "no kernels there for 1 Gemm, 3 QLinearConv, which would run on the CPU" in told


def test_a_runtime_that_does_not_tell_where_operators_run_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_card(monkeypatch)
    monkeypatch.setattr(onnxruntime, "InferenceSession", object)
    with pytest.raises(UsageError, match=r"does not: take 1\.24\.1 or a later one, or 'cpu'"):
        open_artefact(path, 1, "cuda")


def test_a_runtime_for_cpus_alone_is_refused_with_the_way_out(path: Path) -> None:
    if session.CARD in onnxruntime.get_available_providers():
        pytest.skip("this runtime knows GPUs")
    with pytest.raises(UsageError, match=r"\[objectives\] device: .*put onnxruntime-gpu in"):
        open_artefact(path, 1, "cuda")


def test_a_session_that_goes_on_without_the_card_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ONNX Runtime does where CUDA's libraries are missing."""
    there = [session.CARD, "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)

    class Without(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, model: str, options: object, providers: list[object]) -> None:
            assert providers == [(session.CARD, session.CARD_OPTIONS)]
            super().__init__(model, options, providers=there[1:])

    monkeypatch.setattr(onnxruntime, "InferenceSession", Without)
    with pytest.raises(UsageError, match="found no GPU or not the libraries"):
        open_artefact(path, 1, "cuda")

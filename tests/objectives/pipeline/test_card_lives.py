"""Trials whose predictions are a GPU's, whose part in these tests is played by the CPU."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from contracts.bench import MLP, Bench
from contracts.card import play_card
from greenfront.errors import TrialStopped
from greenfront.objectives.pipeline import prediction_costs
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Task
from greenfront.spaces.techniques.precision import Precision

HALF = Precision(16)
FEW = replace(MLP, training=replace(MLP.training, epochs=1))


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return load_task(TaskSettings(kind="digits"), cache=tmp_path_factory.mktemp("cache"), seed=7)


@pytest.fixture
def bench(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    play_card(monkeypatch)
    found = Bench(task, tmp_path / "store")
    found.runtime.measuring = replace(found.runtime.measuring, device="cuda")
    return found


def products(path: Path) -> list[int]:
    """Types of the weights that a file's products take."""
    graph = onnx.load(path).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    converted = {node.output[0]: TensorProto.FLOAT for node in graph.node if node.op_type == "Cast"}
    return [(types | converted)[node.input[1]] for node in graph.node if node.op_type == "Gemm"]


def test_what_has_no_kernels_on_the_card_is_stopped_before_its_training(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_costs, "left_on_cpu", lambda _session: Counter(Gemm=3))
    with pytest.raises(TrialStopped, match="no kernels there for 3 Gemm, which would run on the"):
        bench.run(FEW)
    assert bench.context.stages() == []


def test_what_else_stays_on_the_cpu_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_costs, "left_on_cpu", lambda _session: Counter(Shape=2))
    assert bench.run(FEW).left_on_cpu == {"Shape": 2}
    assert bench.context.lines[-1] == "on the CPU, and not on the GPU: 2 Shape"


def test_16_bits_are_computed_in_half_floats_on_the_card_alone(bench: Bench) -> None:
    """A folder for the CPU, of the same weights, holds what the CPU runs best."""
    candidate = replace(FEW, precision=HALF)
    outcome = bench.run(candidate)
    assert outcome.unreal == ()
    assert outcome.agreement is not None
    assert outcome.agreement > 0.98
    assert outcome.artefact_bytes < 0.55 * 4 * outcome.parameters
    assert products(bench.file(outcome)) == [TensorProto.FLOAT16] * 3

    bench.runtime.measuring = replace(bench.runtime.measuring, device="cpu")
    delivered = bench.runner.delivered(candidate, outcome.artefact)
    assert delivered.path != bench.file(outcome)
    assert products(delivered.path) == [TensorProto.FLOAT] * 3
    assert bench.context.stages().count("train") == 1
    whole = bench.run(FEW)
    assert abs(whole.score - outcome.score) < 0.02

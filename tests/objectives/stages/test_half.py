"""Files in half floats, run for real; a CPU widens what it has no kernels for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from greenfront.errors import TrialFailed
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, OUTPUT, to_onnx
from greenfront.objectives.stages.half import compute_half
from greenfront.objectives.stages.reality import Claim, unreal
from greenfront.spaces.techniques.precision import Precision

IMAGES = np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype(np.float32)


class Recurrent(nn.Module):
    """Reads token numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 24)
        self.rnn = nn.LSTM(24, 24, batch_first=True)
        self.fc = nn.Linear(24, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        seen = (tokens > 0).unsqueeze(-1).float()
        answers: Tensor = self.fc((self.rnn(self.table(tokens))[0] * seen).sum(1) / seen.sum(1))
        return answers


def images() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1),
        nn.BatchNorm2d(24),
        nn.GELU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LayerNorm(24 * 16),
        nn.Linear(24 * 16, 4),
    )


def run(path: Path, inputs: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    answers: np.ndarray = open_artefact(path, 1).run([OUTPUT], {INPUT: inputs})[0]  # type: ignore[type-arg]
    return answers


@pytest.mark.parametrize("kind", ["images", "tokens"])
def test_weights_take_half_the_bytes_and_meet_no_conversion(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    model = images() if kind == "images" else Recurrent()
    inputs = IMAGES if kind == "images" else np.arange(1, 41).reshape(4, 10)
    whole, half = tmp_path / "whole.onnx", tmp_path / "half.onnx"
    to_onnx(model, torch.from_numpy(inputs[:1]), whole)
    compute_half(whole, half)

    graph = onnx.load(half).graph
    stored = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert TensorProto.FLOAT not in stored.values()
    converted = {node.output[0] for node in graph.node if node.op_type == "Cast"}
    products = [node for node in graph.node if node.op_type in {"Conv", "Gemm", "MatMul", "LSTM"}]
    assert len(products) == 2
    for node in products:
        assert stored[node.input[1]] == TensorProto.FLOAT16
        assert node.input[1] not in converted
    assert graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert unreal(Claim(Precision(16)), whole, half, inputs[:1]) == ()
    assert half.stat().st_size < 0.6 * whole.stat().st_size

    wanted, answers = run(whole, inputs), run(half, inputs)
    assert answers.dtype == np.float32
    # 11 bits of each factor are left.
    assert 0 < np.abs(answers - wanted).max() < 2**-8 * np.abs(wanted).max()


def saved(tmp_path: Path, kind: str, weight: np.ndarray) -> Path:  # type: ignore[type-arg]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in zip((INPUT, OUTPUT), weight.shape, strict=True)
    ]
    node = helper.make_node(kind, [INPUT, "weight"], [OUTPUT])
    tensor = numpy_helper.from_array(weight.astype(np.float32), "weight")
    graph = helper.make_graph([node], "product", ends[:1], ends[1:], [tensor])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "a.onnx")
    return tmp_path / "a.onnx"


def test_what_half_floats_hold_is_kept_and_what_is_too_large_becomes_the_largest(
    tmp_path: Path,
) -> None:
    compute_half(saved(tmp_path, "MatMul", np.array([[0.5, 1 / 3, 1e6]])), tmp_path / "b.onnx")
    (answers,) = run(tmp_path / "b.onnx", np.ones((1, 1), dtype=np.float32))
    assert answers.tolist() == [0.5, float(np.float16(1 / 3)), 65504.0]


def test_what_has_no_such_form_fails_the_trial(tmp_path: Path) -> None:
    source = saved(tmp_path, "NoOperator", np.eye(2))
    with pytest.raises(TrialFailed, match="cannot quantize: this network has no form in half"):
        compute_half(source, tmp_path / "b.onnx")

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from greenfront.errors import UsageError
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, OUTPUT, quantize, to_onnx, weight_count
from greenfront.spaces.architectures.architecture import Int8Recipe

CALIBRATION = np.random.default_rng(0).standard_normal((40, 3, 6, 6)).astype(np.float32)


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 36, 4),
    )
    model(torch.from_numpy(CALIBRATION))  # moves the statistics away from 0 and 1
    return model.eval()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    to_onnx(network(), (3, 6, 6), path)
    return path


def quantized(
    source: Path, target: Path, bits: int, recipe: Int8Recipe = "static", *, narrow: bool = False
) -> onnx.ModelProto:
    quantize(source, target, bits, recipe=recipe, calibration=CALIBRATION, reduce_range=narrow)
    return onnx.load(target)


def test_the_batch_is_free_and_the_rest_is_not(source: Path) -> None:
    session = open_artefact(source, threads=1)
    (given,), (answered,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape[1:], given.type) == (INPUT, [3, 6, 6], "tensor(float)")
    assert (answered.name, answered.shape[1:]) == (OUTPUT, [4])
    for count in (1, 7):
        (logits,) = session.run([OUTPUT], {INPUT: CALIBRATION[:count]})
        assert logits.shape == (count, 4)


def test_batch_normalisation_is_folded_in(source: Path) -> None:
    kinds = [node.op_type for node in onnx.load(source).graph.node]
    assert "BatchNormalization" not in kinds
    with torch.no_grad():
        wanted = network()(torch.from_numpy(CALIBRATION)).numpy()
    (given,) = open_artefact(source, threads=1).run([OUTPUT], {INPUT: CALIBRATION})
    np.testing.assert_allclose(given, wanted, atol=1e-5)


def test_weights_are_counted_without_biases(source: Path) -> None:
    assert weight_count(source) == 16 * 3 * 3 * 3 + 16 * 36 * 4


def test_only_large_tensors_are_halved(source: Path, tmp_path: Path) -> None:
    tensors = quantized(source, tmp_path / "16.onnx", 16).graph.initializer
    types = {tensor.data_type: 0 for tensor in tensors}
    for tensor in tensors:
        assert (tensor.data_type == TensorProto.FLOAT16) == (np.prod(tensor.dims) >= 256)
        types[tensor.data_type] += 1
    assert types == {TensorProto.FLOAT16: 2, TensorProto.FLOAT: 2}  # weights, biases


def test_half_floats_are_the_nearest(source: Path, tmp_path: Path) -> None:
    halved = quantized(source, tmp_path / "16.onnx", 16)
    half = {t.name: numpy_helper.to_array(t) for t in halved.graph.initializer}
    for tensor in onnx.load(source).graph.initializer:
        if np.prod(tensor.dims) >= 256:
            whole = numpy_helper.to_array(tensor)
            np.testing.assert_array_equal(half[f"{tensor.name}_half"], whole.astype(np.float16))


@pytest.mark.parametrize("recipe", ["static", "dynamic"])
def test_a_reduced_range_uses_seven_bits(source: Path, tmp_path: Path, recipe: Int8Recipe) -> None:
    for narrow, most in ((True, 64), (False, 127)):
        model = quantized(source, tmp_path / "8.onnx", 8, recipe, narrow=narrow)
        stored = [t for t in model.graph.initializer if t.data_type == TensorProto.INT8]
        largest = max(
            np.abs(numpy_helper.to_array(t).astype(int)).max() for t in stored if len(t.dims) > 1
        )
        assert most - 2 <= largest <= most


def test_the_calibration_decides_static_ranges(source: Path, tmp_path: Path) -> None:
    def scale_of_the_inputs(times: float) -> float:
        target = tmp_path / f"{times}.onnx"
        quantize(
            source, target, 8, recipe="static", calibration=times * CALIBRATION, reduce_range=False
        )
        graph = onnx.load(target).graph
        (node,) = [n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == INPUT]
        (scale,) = [t for t in graph.initializer if t.name == node.input[1]]
        return float(numpy_helper.to_array(scale))

    span = float(CALIBRATION.max() - CALIBRATION.min())  # of the whole set, not of one batch
    assert scale_of_the_inputs(1.0) == pytest.approx(span / 255, rel=1e-3)
    assert scale_of_the_inputs(10.0) == pytest.approx(10 * span / 255, rel=1e-3)


@pytest.mark.parametrize("bits", [4, 32, 0])
def test_other_bit_widths_are_refused(source: Path, tmp_path: Path, bits: int) -> None:
    with pytest.raises(UsageError, match=f"bits must be 32, 16 or 8 here, not {bits}"):
        quantized(source, tmp_path / "x.onnx", bits)
    assert list(tmp_path.iterdir()) == []


def test_the_source_is_left_alone(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    for bits, recipe in ((16, "static"), (8, "static"), (8, "dynamic")):
        quantized(source, tmp_path / "x.onnx", bits, recipe)  # type: ignore[arg-type]
    assert source.read_bytes() == before

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from contracts.convolution import IMAGES, convolution
from contracts.few_bits import quantize
from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, OUTPUT, to_onnx
from greenfront.objectives.stages.int8 import (
    Int8Choice,
    Int8Recipe,
    compute_int8,
    fastest_int8,
    has_vnni,
)
from greenfront.objectives.stages.quantize import quantize_weights
from greenfront.objectives.stages.reality import Claim, executed_operators, unreal
from greenfront.spaces.techniques.precision import Precision

WEIGHT_ONLY = (Precision(8, weight_only=True), Precision(4), Precision(2))
STORED = {8: TensorProto.INT8, 4: TensorProto.INT4, 2: TensorProto.INT2}


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 6), nn.Flatten()
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quantize") / "model.onnx"
    to_onnx(convolution(), (3, 6, 6), path)
    return path


def quantized(
    source: Path,
    target: Path,
    precision: Precision,
    recipe: Int8Recipe = "static",
    *,
    narrow: bool | None = None,
) -> onnx.ModelProto:
    """By default as this CPU needs it: products of eight bits saturate on one without VNNI."""
    reduce_range = not has_vnni() if narrow is None else narrow
    quantize(source, target, precision, recipe, IMAGES, reduce_range=reduce_range)
    return onnx.load(target)


def answers(path: Path, inputs: np.ndarray = IMAGES) -> np.ndarray:
    (logits,) = open_artefact(path, threads=1).run([OUTPUT], {INPUT: inputs})
    return np.asarray(logits)


# --- 16 bits --------------------------------------------------------------------------------


def test_only_large_tensors_are_halved(source: Path, tmp_path: Path) -> None:
    tensors = quantized(source, tmp_path / "16.onnx", Precision(16)).graph.initializer
    types = {tensor.data_type: 0 for tensor in tensors}
    for tensor in tensors:
        assert (tensor.data_type == TensorProto.FLOAT16) == (np.prod(tensor.dims) >= 256)
        types[tensor.data_type] += 1
    assert types == {TensorProto.FLOAT16: 2, TensorProto.FLOAT: 2}  # weights, biases


def test_half_floats_are_the_nearest(source: Path, tmp_path: Path) -> None:
    halved = quantized(source, tmp_path / "16.onnx", Precision(16))
    half = {t.name: numpy_helper.to_array(t) for t in halved.graph.initializer}
    for tensor in onnx.load(source).graph.initializer:
        if np.prod(tensor.dims) >= 256:
            whole = numpy_helper.to_array(tensor)
            np.testing.assert_array_equal(half[f"{tensor.name}_half"], whole.astype(np.float16))


# --- int8 kernels ---------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["static", "static_per_tensor", "dynamic"])
def test_a_reduced_range_uses_seven_bits(source: Path, tmp_path: Path, recipe: Int8Recipe) -> None:
    for narrow, most in ((True, 64), (False, 127)):
        model = quantized(source, tmp_path / "8.onnx", Precision(8), recipe, narrow=narrow)
        stored = [t for t in model.graph.initializer if t.data_type == TensorProto.INT8]
        largest = max(
            np.abs(numpy_helper.to_array(t).astype(int)).max() for t in stored if len(t.dims) > 1
        )
        assert most - 2 <= largest <= most


def test_equal_biases_do_not_keep_convolutions_floating(tmp_path: Path) -> None:
    def block(channels: int) -> list[nn.Module]:
        return [nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]

    path = tmp_path / "untrained.onnx"
    model = nn.Sequential(*block(3), *block(16), *block(16), nn.Flatten(), nn.Linear(576, 4))
    to_onnx(model.eval(), (3, 6, 6), path)
    assert "Identity" in {node.op_type for node in onnx.load(path).graph.node}
    target = tmp_path / "int8.onnx"
    quantized(path, target, Precision(8))
    executed = executed_operators(target, IMAGES[:1])
    assert executed["QLinearConv"] == 3
    assert executed["Conv"] + executed["FusedConv"] == 0
    assert np.abs(answers(target) - answers(path)).max() < 0.05 * np.abs(answers(path)).max()


def test_the_calibration_decides_static_ranges(source: Path, tmp_path: Path) -> None:
    def scale_of_the_inputs(times: float) -> float:
        target = tmp_path / f"{times}.onnx"
        compute_int8(
            source,
            target,
            "static",
            calibration=times * IMAGES,
            reduce_range=not has_vnni(),
        )
        graph = onnx.load(target).graph
        (node,) = [n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == INPUT]
        (scale,) = [t for t in graph.initializer if t.name == node.input[1]]
        return float(numpy_helper.to_array(scale))

    span = float(IMAGES.max() - IMAGES.min())  # of the whole set, not of one batch
    assert scale_of_the_inputs(1.0) == pytest.approx(span / 255, rel=1e-3)
    assert scale_of_the_inputs(10.0) == pytest.approx(10 * span / 255, rel=1e-3)


@pytest.mark.parametrize(("recipe", "scales"), [("static", 16), ("static_per_tensor", 1)])
def test_scales_of_a_channel_or_of_a_tensor(
    source: Path, tmp_path: Path, recipe: Int8Recipe, scales: int
) -> None:
    graph = quantized(source, tmp_path / "8.onnx", Precision(8), recipe).graph
    tensors = {t.name: t for t in graph.initializer}
    (filters,) = [t.name for t in graph.initializer if list(t.dims) == [16, 3, 3, 3]]
    (node,) = [n for n in graph.node if n.input[0] == filters]
    assert numpy_helper.to_array(tensors[node.input[1]]).size == scales


def test_a_dynamic_recipe_leaves_convolutions_alone(source: Path, tmp_path: Path) -> None:
    graph = quantized(source, tmp_path / "8.onnx", Precision(8), "dynamic").graph
    kinds = {n.op_type for n in graph.node}
    assert {"Conv", "MatMulInteger"} <= kinds
    assert "ConvInteger" not in kinds


def test_a_graph_without_an_int8_form_is_told(source: Path, tmp_path: Path) -> None:
    with pytest.raises(TrialFailed, match="finds no static int8 form") as failure:
        compute_int8(
            source, tmp_path / "8.onnx", "static", calibration=IMAGES[:0], reduce_range=False
        )
    assert failure.value.cause == "cannot quantize"


# --- packed weights -------------------------------------------------------------------------


@pytest.mark.parametrize("precision", WEIGHT_ONLY, ids=str)
def test_packed_weights_are_stored_in_so_few_bits(
    source: Path, tmp_path: Path, precision: Precision
) -> None:
    model = quantized(source, tmp_path / "packed.onnx", precision)
    onnx.checker.check_model(model, full_check=True)
    large = [t for t in model.graph.initializer if np.prod(t.dims) >= 256]
    assert len(large) == 2
    for tensor in large:
        assert tensor.data_type == STORED[precision.bits]
        assert len(tensor.raw_data) == -(-np.prod(tensor.dims) * precision.bits // 8)


@pytest.mark.parametrize("precision", WEIGHT_ONLY, ids=str)
def test_packed_weights_are_the_nearest_of_their_grid(
    source: Path, tmp_path: Path, precision: Precision
) -> None:
    model = quantized(source, tmp_path / "packed.onnx", precision)
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    steps = max(1, 2 ** (precision.bits - 1) - 1)
    for tensor in onnx.load(source).graph.initializer:
        if np.prod(tensor.dims) < 256:
            continue
        whole = numpy_helper.to_array(tensor)  # of a convolution, or transposed: channels first
        scale = stored[f"{tensor.name}_scale"]
        assert scale.shape == (len(whole), *[1] * (whole.ndim - 1))
        numbers = stored[f"{tensor.name}_packed"].astype(np.float32)
        assert np.abs(numbers).max() == steps
        inside = np.abs(whole) <= steps * scale
        assert (
            np.abs(numbers * scale - whole)[inside]
            <= 0.5001 * np.broadcast_to(scale, whole.shape)[inside]
        ).all()
        assert inside.mean() > (0.5 if steps == 1 else 0.999)


@pytest.mark.parametrize(
    ("precision", "error"), list(zip(WEIGHT_ONLY, (0.02, 0.4, 2.0), strict=True))
)
def test_fewer_bits_answer_less_exactly(
    source: Path, tmp_path: Path, precision: Precision, error: float
) -> None:
    quantized(source, tmp_path / "packed.onnx", precision)
    wanted, given = answers(source), answers(tmp_path / "packed.onnx")
    assert 0 < np.abs(given - wanted).mean() < error * wanted.std()


def graph_of(
    nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], width: int, path: Path
) -> Path:
    ids = helper.make_tensor_value_info(INPUT, TensorProto.INT64, ["n"])
    logits = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", width])
    graph = helper.make_graph(nodes, "graph", [ids], [logits], weights)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path
    )
    return path


@pytest.mark.parametrize("precision", WEIGHT_ONLY, ids=str)
def test_a_weight_with_two_uses_is_stored_once(tmp_path: Path, precision: Precision) -> None:
    table = np.random.default_rng(0).standard_normal((24, 24)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", INPUT], ["rows"], axis=0),
        helper.make_node("MatMul", ["rows", "table"], ["mixed"]),
        helper.make_node("Add", ["mixed", "rows"], [OUTPUT]),
    ]
    path = graph_of(nodes, [numpy_helper.from_array(table, "table")], 24, tmp_path / "tied.onnx")
    model = quantized(path, tmp_path / "packed.onnx", precision)
    assert [n.op_type for n in model.graph.node].count("Cast") == 1
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert set(tensors) == {"table_packed", "table_scale"}
    unpacked = tensors["table_packed"].astype(np.float32) * tensors["table_scale"]
    ids = np.arange(24)
    given = answers(tmp_path / "packed.onnx", ids)
    np.testing.assert_allclose(given, unpacked @ unpacked + unpacked, atol=1e-4)


def test_channels_of_a_matrix_product_are_its_columns(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((32, 16)).astype(np.float32)
    weight *= 10.0 ** np.arange(-8, 8)  # a grid across columns would lose the small ones
    table = np.eye(32, dtype=np.float32)
    nodes = [
        helper.make_node("Gather", ["eye", INPUT], ["rows"], axis=0),
        helper.make_node("MatMul", ["rows", "weight"], [OUTPUT]),
    ]
    weights = [numpy_helper.from_array(table, "eye"), numpy_helper.from_array(weight, "weight")]
    path = graph_of(nodes, weights, 16, tmp_path / "product.onnx")
    quantized(path, tmp_path / "packed.onnx", Precision(4))
    given = answers(tmp_path / "packed.onnx", np.arange(32))
    assert (np.abs(given - weight).max(0) < 0.1 * np.abs(weight).max(0)).all()


@pytest.mark.parametrize("precision", WEIGHT_ONLY, ids=str)
def test_a_session_without_options_unpacks_once(
    source: Path, tmp_path: Path, precision: Precision
) -> None:
    """What it executes is what it executes of the file at 32 bits."""
    quantized(source, tmp_path / "packed.onnx", precision)
    plain = onnxruntime.SessionOptions()
    plain.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    onnxruntime.InferenceSession(tmp_path / "packed.onnx", plain)
    loaded = {node.op_type for node in onnx.load(tmp_path / "loaded.onnx").graph.node}
    assert loaded.isdisjoint({"Cast", "Mul", "DequantizeLinear"})
    executed = executed_operators(tmp_path / "packed.onnx", IMAGES[:1])
    assert executed == executed_operators(source, IMAGES[:1])


class Gates(nn.Module):
    """Reads six steps of 18 numbers with a recurrent layer."""

    def __init__(self, layer: type[nn.RNNBase], *, both_ways: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.read = layer(18, 16, batch_first=True, bidirectional=both_ways)
        self.head = nn.Linear(16 * (1 + both_ways), 4)

    def forward(self, images: Tensor) -> Tensor:
        read, _ = self.read(images.flatten(1).unflatten(1, (6, 18)))
        answer: Tensor = self.head(read[:, -1])
        return answer


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("precision", WEIGHT_ONLY, ids=str)
def test_gates_of_recurrent_layers_are_packed(
    tmp_path: Path, precision: Precision, layer: type[nn.RNNBase], both_ways: bool
) -> None:
    source, target = tmp_path / "whole.onnx", tmp_path / "packed.onnx"
    to_onnx(Gates(layer, both_ways=both_ways).eval(), (3, 6, 6), source)
    model = quantized(source, target, precision)
    assert unreal(Claim(precision), source, target, IMAGES[:1]) == ()
    gates = [t for t in model.graph.initializer if t.data_type == STORED[precision.bits]]
    assert len(gates) >= 2  # of the inputs and of the state
    wanted, given = answers(source), answers(target)
    error = {8: 0.02, 4: 0.5, 2: 2.0}[precision.bits]
    assert 0 < np.abs(given - wanted).mean() < error * wanted.std()


@pytest.mark.parametrize("bits", [3, 32, 0])
def test_other_bit_widths_are_refused(source: Path, tmp_path: Path, bits: int) -> None:
    with pytest.raises(UsageError, match=f"bits must be 16, 8, 4 or 2 here, not {bits}"):
        quantize_weights(source, tmp_path / "x.onnx", bits)
    assert list(tmp_path.iterdir()) == []


def test_the_source_is_left_alone(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    for precision in (Precision(16), Precision(8), *WEIGHT_ONLY):
        quantized(source, tmp_path / "x.onnx", precision)
    quantized(source, tmp_path / "x.onnx", Precision(8), "dynamic")
    assert source.read_bytes() == before


# --- the fastest recipe ---------------------------------------------------------------------


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix, self.head = nn.Linear(36, 36), nn.Linear(36, 4)

    def forward(self, images: Tensor) -> Tensor:
        states = images.flatten(2)
        weights = torch.softmax(self.mix(states) @ states.transpose(1, 2), -1)
        return self.head((weights @ states).mean(1))


@pytest.mark.parametrize(
    ("build", "recipes"),
    [
        (convolution, {"static", "static_per_tensor", "dynamic"}),
        (convolutions, {"static", "static_per_tensor"}),
        (Attention, {"dynamic"}),
    ],
)
def test_the_fastest_recipe_is_one_that_suits(
    build: type, recipes: set[str], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    to_onnx(build(), (3, 6, 6), tmp_path / "32.onnx")
    choice = fastest_int8(tmp_path / "32.onnx", IMAGES, reduce_range=True, threads=1)
    assert choice.recipe in recipes
    assert choice.ratio > 0
    assert 0 < choice.error < 0.5
    assert Int8Choice(**json.loads(json.dumps(asdict(choice)))) == choice
    assert [path.name for path in tmp_path.iterdir()] == ["32.onnx"]


def test_without_any_recipe_the_reason_is_told(tmp_path: Path) -> None:
    to_onnx(convolutions(), (3, 6, 6), tmp_path / "32.onnx")
    with pytest.raises(TrialFailed, match="finds no static per tensor int8 form"):
        fastest_int8(tmp_path / "32.onnx", IMAGES[:0], reduce_range=False, threads=1)

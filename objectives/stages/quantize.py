"""ONNX files with fewer bits, smaller on disk or faster at work."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, PACKED
from greenfront.objectives.stages.fake_quant import SMALLEST_PACKED, grid, grid_steps
from greenfront.spaces.candidate import Precision

__all__ = ["Int8Choice", "Int8Recipe", "fastest_int8", "has_vnni", "quantize"]

Int8Recipe = Literal["static", "static_per_tensor", "dynamic"]
"""How int8 kernels get their ranges: calibrated once (weights by channel or by tensor), or
computed at each call."""

CALIBRATION_BATCH = 32
ROUNDS = 9
"""Times that files are timed in turn."""
BLOCK_SECONDS = 0.02
"""Length of one turn."""
LARGEST_ERROR = 0.25
"""Of the spread of the logits: recipes that err more are not taken where another errs less."""
WORTHWHILE = 0.9
"""A recipe with coarser scales is taken where it needs at most this share of the time."""
PRODUCTS = ("MatMul", "Gemm", "Gather")
"""Operators that a dynamic recipe makes integer: convolutions would get slower than at 32 bits."""
FORMATS = {8: ("INT8", 0, 0), 4: ("INT4", 21, 10), 2: ("INT2", 25, 13)}
"""Bits → type of the stored numbers, and the opset and format version that brought it."""


def quantize(
    source: Path,
    target: Path,
    precision: Precision | int,
    *,
    recipe: Int8Recipe,
    calibration: NDArray[Any],
    reduce_range: bool,
) -> None:
    """Writes the file with weights of fewer bits.

    16 bits are half floats, which are computed in single precision: half the bytes, no faster.
    8 bits are computed in int8 kernels. 8 bits of weights alone, 4 and 2 are packed with one
    scale an output channel, and computed in single precision.

    Args:
        source: A file of :func:`~greenfront.objectives.stages.export.to_onnx`.
        target: Written.
        precision: A number is bits, with the defaults of the rest.
        recipe: For int8 kernels.
        calibration: Inputs ``[n, …]`` for static ranges.
        reduce_range: Use 7 of the 8 bits for weights, where the CPU's 8-bit products saturate
            (x86 without VNNI).

    Raises:
        UsageError: The bit-width is none of 16, 8, 4 and 2.
        TrialFailed: The graph cannot be quantized (cause ``"cannot quantize"``).
    """
    if not isinstance(precision, Precision):
        precision = Precision(bits=precision)
    bits = precision.bits
    if bits != 16 and bits not in FORMATS:
        raise UsageError(f"bits must be 16, 8, 4 or 2 here, not {bits}")
    model = onnx.load(source)
    # Shapes noted by an exporter contradict those of quantized tensors.
    del model.graph.value_info[:]
    if bits == 16:
        onnx.save(_halved(model), target)
    elif bits == 8 and not precision.weight_only:
        _compute_int8(model, target, recipe, calibration, reduce_range)
    else:
        onnx.save(_packed(model, bits), target)


@dataclass(frozen=True, slots=True)
class Int8Choice:
    """The best int8 recipe for a graph on this machine.

    Attributes:
        recipe: Its name.
        ratio: CPU time of its calls over that of the same graph at 32 bits; below 1 is faster.
        error: Mean difference of its logits from those at 32 bits, over their spread.
    """

    recipe: Int8Recipe
    ratio: float
    error: float

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_json`."""
        return cls(**data)


def fastest_int8(
    source: Path, calibration: NDArray[Any], *, reduce_range: bool, threads: int, batch: int = 1
) -> Int8Choice:
    """Makes each int8 form that may pay, and times them and the 32-bit file in turns.

    Args:
        source: A file at 32 bits.
        calibration: Inputs ``[n, …]``.
        reduce_range: See :func:`quantize`.
        threads: Of the runtime.
        batch: Examples a call.

    Returns:
        The fastest of those that answer nearly as at 32 bits, of nearly equal ones that with the
        finer scales; where none does, the one that errs least.

    Raises:
        TrialFailed: There is no int8 form of the graph (cause ``"cannot quantize"``).
    """
    with tempfile.TemporaryDirectory() as folder:
        sessions = {}
        for recipe in _sensible(source):
            target = Path(folder) / f"{recipe}.onnx"
            try:
                quantize(
                    source,
                    target,
                    Precision(bits=8),
                    recipe=recipe,
                    calibration=calibration,
                    reduce_range=reduce_range,
                )
            except TrialFailed as failure:
                failed = failure
            else:
                sessions[recipe] = open_artefact(target, threads)
        if not sessions:
            raise failed
        whole = open_artefact(source, threads)
        feeds = {INPUT: calibration[:CALIBRATION_BATCH]}
        (wanted,) = whole.run(None, feeds)
        errors = {
            recipe: float(np.abs(session.run(None, feeds)[0] - wanted).mean() / wanted.std())
            for recipe, session in sessions.items()
        }
        ratios = _ratios(whole, sessions, calibration[:batch])
    close = [recipe for recipe in sessions if errors[recipe] <= LARGEST_ERROR]
    best = close[0] if close else min(errors, key=lambda recipe: errors[recipe])
    for recipe in close[1:]:  # in the order of their accuracy on trained networks
        if ratios[recipe] < WORTHWHILE * ratios[best]:
            best = recipe
    return Int8Choice(best, ratios[best], errors[best])


def has_vnni() -> bool:
    """Whether the CPU has 8-bit products that do not saturate."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_vnni" in flags or "avx_vnni" in flags


def _sensible(source: Path) -> tuple[Int8Recipe, ...]:
    kinds = Counter(node.op_type for node in onnx.load(source).graph.node)
    if kinds["Softmax"]:
        return ("dynamic",)  # one range for all that attention sees is too coarse
    if kinds["Conv"] > kinds["MatMul"] + kinds["Gemm"]:
        return ("static", "static_per_tensor")
    return ("static", "static_per_tensor", "dynamic")


def _ratios(
    whole: Any, sessions: Mapping[Int8Recipe, Any], inputs: NDArray[Any]
) -> dict[Int8Recipe, float]:
    """Median over the rounds of a session's time over that of the 32-bit one beside it."""

    def run(session: Any, calls: int) -> float:
        # The process's time on the CPU, which neighbours hardly move; with one thread it is the
        # latency of an idle machine.
        began = time.process_time()
        for _ in range(calls):
            session.run(None, {INPUT: inputs})
        return (time.process_time() - began) / calls

    once = min(run(session, 3) for session in (whole, *sessions.values()))
    calls = max(1, round(BLOCK_SECONDS / once))
    rounds: list[dict[Int8Recipe, float]] = []
    for _ in range(ROUNDS):
        base = run(whole, calls)
        rounds.append({recipe: run(s, calls) / base for recipe, s in sessions.items()})
    return {recipe: statistics.median(each[recipe] for each in rounds) for recipe in sessions}


def _compute_int8(
    model: onnx.ModelProto,
    target: Path,
    recipe: Int8Recipe,
    calibration: NDArray[Any],
    reduce_range: bool,
) -> None:
    _give_each_its_own(model.graph)
    try:
        if recipe == "dynamic":
            quantize_dynamic(
                model,
                target,
                op_types_to_quantize=list(PRODUCTS),
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=reduce_range,
            )
        else:
            quantize_static(
                model,
                target,
                _Calibration(calibration),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=recipe == "static",
                reduce_range=reduce_range,
            )
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as failure:
        raise TrialFailed(
            "cannot quantize",
            f"ONNX Runtime finds no {recipe.replace('_', ' ')} int8 form of this network "
            f"({failure})",
        ) from failure


def _give_each_its_own(graph: onnx.GraphProto) -> None:
    """Undoes the exporter's sharing of equal tensors: the quantizer skips a bias that is shared.

    Biases of a network before its training are all zero, and its convolutions would stay floating
    between conversions to and from int8: slower than at 32 bits.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Identity"]:
        tensor = stored.get(node.input[0])
        if tensor is not None:
            copy = graph.initializer.add()
            copy.CopyFrom(tensor)
            copy.name = node.output[0]
            stored[copy.name] = copy
            graph.node.remove(node)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: NDArray[Any]) -> None:
        self._batches: Iterator[dict[str, NDArray[Any]]] = iter(
            [
                {INPUT: inputs[start : start + CALIBRATION_BATCH]}
                for start in range(0, len(inputs), CALIBRATION_BATCH)
            ]
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._batches, None)


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = model.graph
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST_PACKED:
            continue
        stored = f"{tensor.name}_half"
        half = numpy_helper.to_array(tensor).astype(np.float16)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(half, stored))
        # The runtime folds this cast when the file is loaded.
        cast = helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT)
        graph.node.insert(0, cast)
    return model


def _packed(model: onnx.ModelProto, bits: int) -> onnx.ModelProto:
    graph = model.graph
    axes = _channel_axes(graph)
    for tensor in list(graph.initializer):
        axis = axes.get(tensor.name)
        if axis is None or tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        if np.prod(tensor.dims) < SMALLEST_PACKED:
            continue
        numbers, scales = _rounded(numpy_helper.to_array(tensor), grid_steps(bits), axis)
        packed, scale = f"{tensor.name}_packed", f"{tensor.name}_scale"
        stored = getattr(TensorProto, FORMATS[bits][0])
        graph.initializer.remove(tensor)
        graph.initializer.append(
            helper.make_tensor(packed, stored, tensor.dims, _bytes_of(numbers, bits), raw=True)
        )
        graph.initializer.append(numpy_helper.from_array(scales, scale))
        # All who used the weight go on using its name.
        graph.node.insert(
            0, helper.make_node("DequantizeLinear", [packed, scale], [tensor.name], axis=axis)
        )
    _, opset, version = FORMATS[bits]
    for used in model.opset_import:
        if used.domain in ("", "ai.onnx"):
            used.version = max(used.version, opset)
    model.ir_version = max(model.ir_version, version)
    helper.set_model_props(model, {**_properties(model), PACKED[0]: PACKED[1]})
    return model


def _properties(model: onnx.ModelProto) -> dict[str, str]:
    return {each.key: each.value for each in model.metadata_props}


def _channel_axes(graph: onnx.GraphProto) -> dict[str, int]:
    """Weight → axis of its output channels, by the first node that multiplies with it."""
    dims = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    axes: dict[str, int] = {}
    for node in graph.node:
        match node.op_type:
            case "Conv":
                name, axis = node.input[1], 0
            case "Gather":
                name, axis = node.input[0], 0
            case "Gemm":
                turned = any(a.name == "transB" and a.i for a in node.attribute)
                name, axis = node.input[1], 0 if turned else 1
            case "MatMul":
                name, axis = node.input[1], dims.get(node.input[1], 0) - 1
            case _:
                continue
        if name in dims:
            axes.setdefault(name, axis)
    return axes


def _rounded(
    weight: NDArray[np.float32], steps: int, axis: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    values = torch.from_numpy(weight.copy())
    width = grid(values, steps, axis)
    numbers = (values / width).round().clamp(-steps, steps).to(torch.int8)
    return numbers.numpy(), width.flatten().numpy()


def _bytes_of(numbers: NDArray[np.int8], bits: int) -> bytes:
    """Two's complement, the first number in the lowest bits of a byte."""
    each = 8 // bits
    flat = numbers.ravel().view(np.uint8) & (2**bits - 1)
    rows = np.pad(flat, (0, -flat.size % each)).reshape(-1, each)
    shifted = rows << (bits * np.arange(each, dtype=np.uint8))
    packed: NDArray[np.uint8] = np.bitwise_or.reduce(shifted, axis=1)
    return packed.astype(np.uint8).tobytes()

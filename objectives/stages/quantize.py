"""ONNX files whose weights have fewer bits: smaller on disk, and as fast at work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from greenfront.errors import UsageError
from greenfront.objectives.stages.export import PACKED, SCALE
from greenfront.objectives.stages.fake_quant import SMALLEST_PACKED, grid, grid_steps

__all__ = ["PACKING", "quantize_weights"]

FORMATS = {8: ("INT8", 0, 0), 4: ("INT4", 21, 10), 2: ("INT2", 25, 13)}
"""Bits → type of the stored numbers, and the opset and format version that brought it."""

RECURRENT = ("GRU", "LSTM", "RNN")

PACKING = "cast"
"""How packed weights are unpacked, for lineage keys. ``DequantizeLinear`` would say the same, but
the runtime folds it at load only where an option of the session asks for that; else it unpacks at
each call, four times as slowly."""


def quantize_weights(source: Path, target: Path, bits: int) -> None:
    """Writes the file with weights of fewer bits, which are computed in single precision.

    16 bits are half floats. 8, 4 and 2 bits are packed with one scale an output channel. Any
    session unpacks them once, when it loads the file: fewer bytes, no faster. What computes in
    fewer bits is of :func:`~greenfront.objectives.stages.int8.compute_int8` and
    :func:`~greenfront.objectives.stages.half.compute_half`.

    Args:
        source: A file of :func:`~greenfront.objectives.stages.export.to_onnx`.
        target: Written.
        bits: 16, 8, 4 or 2.

    Raises:
        UsageError: The bit-width is none of these.
    """
    if bits != 16 and bits not in FORMATS:
        raise UsageError(f"bits must be 16, 8, 4 or 2 here, not {bits}")
    model = onnx.load(source)
    # Shapes noted by an exporter contradict those of quantized tensors.
    del model.graph.value_info[:]
    onnx.save(_halved(model) if bits == 16 else _packed(model, bits), target)


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
        packed, scale = tensor.name + PACKED, tensor.name + SCALE
        narrow = helper.tensor_dtype_to_np_dtype(getattr(TensorProto, FORMATS[bits][0]))
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(numbers.astype(narrow), packed))
        shape = [-1 if place == axis else 1 for place in range(len(tensor.dims))]
        graph.initializer.append(numpy_helper.from_array(scales.reshape(shape), scale))
        # All who used the weight go on using its name.
        whole = f"{tensor.name}_whole"
        graph.node.insert(0, helper.make_node("Mul", [whole, scale], [tensor.name]))
        graph.node.insert(0, helper.make_node("Cast", [packed], [whole], to=TensorProto.FLOAT))
    _, opset, version = FORMATS[bits]
    for used in model.opset_import:
        if used.domain in ("", "ai.onnx"):
            used.version = max(used.version, opset)
    model.ir_version = max(model.ir_version, version)
    return model


def _channel_axes(graph: onnx.GraphProto) -> dict[str, int]:
    """Weight → axis of its output channels, by the first node that multiplies with it."""
    dims = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    axes: dict[str, int] = {}
    for node in graph.node:
        if node.op_type in RECURRENT:
            for name in node.input[1:3]:  # of the inputs and of the state, [directions, gates, …]
                if name in dims:
                    axes.setdefault(name, 1)
            continue
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

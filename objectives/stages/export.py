"""From a torch module to an ONNX file, at 32 bits or fewer, that is smaller on disk or at work."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

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
from torch import nn

from greenfront.errors import UsageError
from greenfront.spaces.architectures.architecture import Int8Recipe

__all__ = ["INPUT", "OUTPUT", "quantize", "to_onnx", "weight_count"]

INPUT, OUTPUT = "input", "logits"
OPSET = 18
SMALLEST_HALVED = 256
"""Tensors with fewer numbers stay at 32 bits: a cast would cost more than it saves."""


def to_onnx(model: nn.Module, input_shape: tuple[int, ...], path: Path) -> None:
    """Exports at 32 bits, with a free batch axis and batch normalisation folded in.

    Args:
        model: From float32 ``[n, *input_shape]`` to logits ``[n, classes]``.
        input_shape: Shape of one input, without the batch axis.
        path: Written.
    """
    device = next(model.parameters()).device
    example = torch.zeros((1, *input_shape), device=device)
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but ten times faster than its successor and needs
        # no further package; it stays until it goes.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            model.eval(),
            (example,),
            str(path),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )


def quantize(
    source: Path,
    target: Path,
    bits: int,
    *,
    recipe: Int8Recipe,
    calibration: NDArray[np.float32],
    reduce_range: bool,
) -> None:
    """Writes the file with weights of fewer bits.

    Args:
        source: A file of :func:`to_onnx`.
        target: Written.
        bits: 16 stores half floats that are computed in single precision: half the bytes, no
            faster. 8 computes in int8 kernels.
        recipe: ``"static"`` calibrates activations once, ``"dynamic"`` at each call.
        calibration: float32 inputs ``[n, …]`` for static ranges.
        reduce_range: Use 7 of the 8 bits for weights, where the CPU's 8-bit products saturate
            (x86 without VNNI).

    Raises:
        UsageError: The bit-width is none of 16 and 8.
    """
    match bits:
        case 16:
            onnx.save(_halved(onnx.load(source)), target)
        case 8 if recipe == "static":
            quantize_static(
                onnx.load(source),
                target,
                _Calibration(calibration),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=reduce_range,
            )
        case 8:
            quantize_dynamic(
                onnx.load(source),
                target,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=reduce_range,
            )
        case _:
            raise UsageError(f"bits must be 32, 16 or 8 here, not {bits}")


def weight_count(path: Path) -> int:
    """Numbers in the tensors of two and more axes that the file stores."""
    graph = onnx.load(path).graph
    return sum(int(np.prod(t.dims)) for t in graph.initializer if len(t.dims) >= 2)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: NDArray[np.float32], batch: int = 32) -> None:
        self._batches: Iterator[NDArray[np.float32]] = iter(
            [inputs[start : start + batch] for start in range(0, len(inputs), batch)]
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = model.graph
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST_HALVED:
            continue
        stored = f"{tensor.name}_half"
        half = numpy_helper.to_array(tensor).astype(np.float16)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(half, stored))
        # The runtime folds this cast when the file is loaded.
        cast = helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT)
        graph.node.insert(0, cast)
    return model

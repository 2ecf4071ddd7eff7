"""Which graph the runtime executes for a file: what a prediction costs depends on it alone.

Not on the weights: two trainings of one network, and on a CPU its files at 32 and 16 bits, which
the runtime widens when it loads them, execute the same operators on tensors of the same shapes and
types.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto, numpy_helper

from greenfront.objectives.stages.session import open_session, session_options

__all__ = ["graph_key"]

STRUCTURAL = (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)
"""Types of shapes, axes and positions: their values say what is done."""
MOST_STRUCTURAL = 4096
"""Longer tensors of these types count by a hash of their values."""
QUANTIZED = ("Q", "DynamicQuantize", "Dequantize")
"""How operators of 8-bit kernels begin: all their constants are weights, scales or zero points."""


def graph_key(
    path: Path, threads: int, circumstances: Mapping[str, Any], device: str = "cpu"
) -> str:
    """Equal for files that execute the same graph under the same circumstances.

    The graph is asked of the runtime, as it stands after its own optimizations: what these make
    of constants (an addition of 0 disappears) is in it. Operators count in their order with their
    attributes, and tensors by shape and type. Values count where they decide what is done: those of
    whole numbers outside of 8-bit kernels, single numbers such as an exponent, whether a zero point
    is 0, whether a weight is denormal, and all attributes, so that a tree's thresholds do.

    Args:
        path: An exported file.
        threads: Of the session.
        circumstances: What else the cost depends on, as JSON values.
        device: That it runs on.
    """
    options = session_options(threads)
    with tempfile.TemporaryDirectory() as folder:
        executed = Path(folder) / "executed.onnx"
        options.optimized_model_filepath = str(executed)
        open_session(path, options, device)
        graph = onnx.load(executed).graph
    told = [onnxruntime.__version__, threads, dict(circumstances), _described(graph)]
    if device != "cpu":
        told.append(device)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def _described(graph: onnx.GraphProto) -> list[Any]:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    places: dict[str, int] = {}

    def told(name: str, operator: str) -> Any:
        if name in constants:
            return _constant(constants[name], operator)
        return places.setdefault(name, len(places)) if name else None

    inputs = [
        [places.setdefault(each.name, len(places)), each.type.SerializeToString().hex()]
        for each in graph.input
        if each.name not in constants
    ]
    nodes = [
        [
            node.domain,
            node.op_type,
            [told(name, node.op_type) for name in node.input],
            [told(name, node.op_type) for name in node.output],
            [_attribute(each) for each in sorted(node.attribute, key=lambda each: each.name)],
        ]
        for node in graph.node
    ]
    return [inputs, nodes, [told(each.name, "") for each in graph.output]]


def _attribute(attribute: AttributeProto) -> str:
    return hashlib.sha256(attribute.SerializeToString(deterministic=True)).hexdigest()


def _constant(tensor: TensorProto, operator: str) -> list[Any]:
    """A constant's type and shape, and its values as far as they decide what is done."""
    described: list[Any] = [tensor.data_type, list(tensor.dims)]
    single = int(np.prod(tensor.dims)) == 1
    if operator.startswith(QUANTIZED) or "Integer" in operator:
        if single and tensor.data_type != TensorProto.FLOAT:
            described.append(not numpy_helper.to_array(tensor).any())
        return described
    if tensor.data_type in STRUCTURAL:
        values = numpy_helper.to_array(tensor)
        if values.size > MOST_STRUCTURAL:
            return [*described, hashlib.sha256(values.tobytes()).hexdigest()]
        return [*described, values.tolist()]
    if tensor.data_type != TensorProto.FLOAT:
        return described
    values = numpy_helper.to_array(tensor)
    return [*described, float(values.reshape(())) if single else _denormal(values)]


def _denormal(values: NDArray[np.float32]) -> bool:
    """Whether a number is so small that the processor takes many times as long for it."""
    tiny = np.abs(values) < np.finfo(np.float32).tiny
    return bool((tiny & (values != 0)).any())

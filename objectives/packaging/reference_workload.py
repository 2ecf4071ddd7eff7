"""A reference workload: what the same work takes on this machine at this moment.

A processor whose other cores are busy takes up to twice the CPU time for the same call. Whoever
compares joules of two days has to compare them with something that was measured in turns with each.
"""

from __future__ import annotations

import functools

import numpy as np
import onnx
from onnx import TensorProto, helper

from greenfront.objectives.stages.metered import Work
from greenfront.objectives.stages.session import open_session, session_options
from greenfront.objectives.wrapping.graph_builder import GraphBuilder

__all__ = ["reference_graph", "reference_work"]

WIDTH, LAYERS = 128, 4
ROWS = "rows"


def reference_work() -> Work:
    """Calls of :func:`reference_graph` for one example, with one thread."""
    session = open_session(reference_graph(), session_options())
    feed = {ROWS: np.ones((1, WIDTH), dtype=np.float32)}
    return Work([functools.partial(session.run, None, feed)], 1)


def reference_graph() -> onnx.ModelProto:
    """Four dense layers of 128, float32 ``[n, 128]`` to ``[n, 128]``."""
    graph = GraphBuilder("reference/")
    last = ROWS
    weight = graph.constant("weight", np.eye(WIDTH, dtype=np.float32))
    for _ in range(LAYERS):
        last = graph.add("Relu", graph.add("MatMul", last, weight))
    shape: list[str | int] = ["n", WIDTH]
    graph.inputs.append(helper.make_tensor_value_info(ROWS, TensorProto.FLOAT, shape))
    graph.outputs.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, shape))
    return graph.model("reference")

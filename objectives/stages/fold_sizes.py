"""Arithmetic on tensors' sizes, which exporters write into a graph though most of it is constant.

A padding that depends on the image's size becomes a dozen nodes around each convolution. They cost
time at each call, and a quantizer that takes them for data rounds the padding itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from greenfront.objectives.stages.session import open_session, session_options

__all__ = ["fold_sizes", "size_arithmetic"]

MEASURES = ("Shape", "Size")


def size_arithmetic(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that compute from constants and from the sizes of tensors alone.

    Branches and loops count as what they use from outside.
    """
    constants = {tensor.name for tensor in graph.initializer} | {""}
    sizes: set[str] = set()
    found = []
    for node in graph.node:
        if node.op_type == "Constant":
            constants.update(node.output)
        elif node.op_type in MEASURES or (
            not sizes.isdisjoint(node.input) and set(_needs(node)) <= sizes | constants
        ):
            sizes.update(node.output)
            found.append(node)
    return found


def fold_sizes(path: Path, feeds: Sequence[Mapping[str, NDArray[Any]]]) -> None:
    """Replaces, in a file, what is computed from sizes and is the same for inputs of any size.

    What is equal for all feeds, which differ in every free axis, is taken for constant.
    """
    model = onnx.load(path)
    names = [name for node in size_arithmetic(model.graph) for name in node.output if name]
    if not names:
        return
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = session_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = open_session(shown, options)
    answers = [session.run(names, dict(feed)) for feed in feeds]
    for name, first, *others in zip(names, *answers, strict=True):
        if isinstance(first, np.ndarray) and all(np.array_equal(first, each) for each in others):
            model.graph.initializer.append(numpy_helper.from_array(first, name))
    _drop_unused(model.graph)
    onnx.save(model, path)


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Removes the makers of what is stored now, and all that was needed by them alone."""
    stored = {tensor.name for tensor in graph.initializer}
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if not needed.isdisjoint(set(node.output) - stored):
            needed.update(_needs(node))
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(tensors)


def _needs(node: onnx.NodeProto) -> Iterable[str]:
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:  # branches and loops use the outer names
            yield from _needs(inner)

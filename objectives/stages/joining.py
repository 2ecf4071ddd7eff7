"""Several finished files as one graph: what a cascade and an ensemble are written with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
from onnx import TensorProto, helper

from greenfront.objectives.stages.export import OPSET
from greenfront.objectives.stages.subgraphs import graphs_of

__all__ = ["like", "operator_sets", "part", "renamed"]

LEAST_SETS = {"": OPSET}
"""Versions of operator sets, by domain, that joined files have at least."""


def renamed(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Gives a value another name wherever operators use or make it, in place."""
    for node in (node for each in graphs_of(graph) for node in each.node):
        for field in (node.input, node.output):
            field[:] = [new if name == old else name for name in field]


def like(info: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    """A tensor of the same type and shape, whose number of examples is open."""
    edges = [edge.dim_value or edge.dim_param or None for edge in info.type.tensor_type.shape.dim]
    kind = info.type.tensor_type.elem_type or TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, ["n", *edges[1:]])


def operator_sets(
    models: Iterable[onnx.ModelProto], least: Mapping[str, int] = LEAST_SETS
) -> list[onnx.OperatorSetIdProto]:
    """The later of each operator set that is used; what it changes, comparing the answers shows.

    A quantizer lists sets that no operator of a file is of, some in versions that do without
    operators of another file: trees, in the fifth of ``ai.onnx.ml``.

    Args:
        models: Whose operators are to stand in one graph.
        least: Versions, by domain, that are needed at least.
    """
    held = dict(least)
    for model in models:
        used = {_domain(node.domain) for each in graphs_of(model.graph) for node in each.node}
        for listed in model.opset_import:
            domain = _domain(listed.domain)
            if domain in used:
                held[domain] = max(held.get(domain, 0), listed.version)
    return [helper.make_opsetid(domain, version) for domain, version in held.items()]


def part(
    model: onnx.ModelProto,
    nodes: Iterable[onnx.NodeProto],
    tensors: Iterable[onnx.TensorProto],
    ends: Mapping[str, str],
) -> onnx.ModelProto:
    """Some operators of a joined file as a file of their own.

    Args:
        model: The whole.
        nodes: The operators, in their order.
        tensors: Constants, those that these operators do not use among them.
        ends: What the part takes and gives: names in the whole, and those of its own input and
            output.
    """
    entry, answer = model.graph.input[0], model.graph.output[0]
    taken, given = ends.values()
    held = list(nodes)
    wanted = {name for node in held for name in node.input}
    graph = helper.make_graph(
        held,
        "model",
        [like(entry, taken)],
        [like(answer, given)],
        [tensor for tensor in tensors if tensor.name in wanted],
    )
    for name, new in ends.items():
        renamed(graph, name, new)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _domain(name: str) -> str:
    """The shorter of the two names that the standard's own operators have."""
    return "" if name == "ai.onnx" else name

"""Two models in one file: the second computes only what the first is not sure of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper

from greenfront.errors import DataError
from greenfront.objectives.stages.export import INPUT, OUTPUT
from greenfront.objectives.stages.joining import like, operator_sets, part, renamed

__all__ = ["CascadeParts", "cascaded", "merged_answers", "parts_of", "sureness"]

FIRST, SECOND, OWN = "first/", "second/", "cascade/"
"""How the names begin of what belongs to either model, and of what joins them."""

THRESHOLD = f"{OWN}threshold"


@dataclass(frozen=True, slots=True)
class CascadeParts:
    """What a cascade is made of.

    Attributes:
        first: The model that sees every example.
        second: The model that sees what the first is not sure of.
        threshold: The probability of the first's likeliest class below which it is not.
    """

    first: onnx.ModelProto
    second: onnx.ModelProto
    threshold: float


def cascaded(first: Path, second: Path, threshold: float) -> onnx.ModelProto:
    """Joins two files of classifiers that take the same inputs and know the same classes.

    An ``If`` on the least sure example of a call holds the second model, which computes the unsure
    examples alone: their logits take the place of the first model's.

    Args:
        first: From inputs to logits.
        second: The same.
        threshold: See :class:`CascadeParts`; the softmax of the logits is compared with it.
    """
    one, other = (
        compose.add_prefix(onnx.load(path), prefix)
        for path, prefix in ((first, FIRST), (second, SECOND))
    )
    entry, logits = one.graph.input[0], one.graph.output[0]
    renamed(one.graph, entry.name, INPUT)
    entry.name = INPUT
    then, otherwise = _unsure_branch(other.graph, logits), _sure_branch(logits)
    axis = numpy_helper.from_array(np.array([-1], dtype=np.int64), f"{OWN}axis")
    graph = helper.make_graph(
        [
            *one.graph.node,
            # Prefixes reach what operators make within an If, and no constants around it. The
            # runtime takes this step out when it loads the file.
            helper.make_node("Identity", [THRESHOLD], [f"{OWN}limit"]),
            helper.make_node("Softmax", [logits.name], [f"{OWN}shares"], axis=-1),
            helper.make_node(
                "ReduceMax", [f"{OWN}shares", f"{OWN}axis"], [f"{OWN}sure"], keepdims=0
            ),
            helper.make_node("ReduceMin", [f"{OWN}sure"], [f"{OWN}least"], keepdims=0),
            helper.make_node("Less", [f"{OWN}least", THRESHOLD], [f"{OWN}ask"]),
            helper.make_node(
                "If", [f"{OWN}ask"], [OUTPUT], then_branch=then, else_branch=otherwise
            ),
        ],
        "cascade",
        [entry],
        [like(logits, OUTPUT)],
        [
            *one.graph.initializer,
            axis,
            numpy_helper.from_array(np.array(threshold, dtype=np.float32), THRESHOLD),
        ],
    )
    model = helper.make_model(
        graph,
        opset_imports=operator_sets((one, other)),
        ir_version=max(one.ir_version, other.ir_version),
    )
    onnx.checker.check_model(model)
    return model


def _unsure_branch(second: onnx.GraphProto, logits: onnx.ValueInfoProto) -> onnx.GraphProto:
    """The second model on the unsure examples, and its logits in place of the first's."""
    rows, unsure, places = f"{OWN}rows", f"{OWN}unsure", f"{OWN}places"
    renamed(second, second.input[0].name, rows)
    answered = second.output[0].name
    nodes = [
        helper.make_node("Less", [f"{OWN}sure", f"{OWN}limit"], [unsure]),
        helper.make_node("Compress", [INPUT, unsure], [rows], axis=0),
        *second.node,
        helper.make_node("NonZero", [unsure], [f"{OWN}row"]),
        helper.make_node("Transpose", [f"{OWN}row"], [places]),
        helper.make_node("ScatterND", [logits.name, places, answered], [f"{OWN}both"]),
    ]
    tensors = list(second.initializer)
    return helper.make_graph(nodes, "unsure", [], [like(logits, f"{OWN}both")], tensors)


def _sure_branch(logits: onnx.ValueInfoProto) -> onnx.GraphProto:
    nodes = [helper.make_node("Identity", [logits.name], [f"{OWN}alone"])]
    return helper.make_graph(nodes, "sure", [], [like(logits, f"{OWN}alone")])


def parts_of(model: onnx.ModelProto) -> CascadeParts:
    """Takes a cascade apart, also where its names got a prefix.

    Raises:
        DataError: It is none.
    """
    graph = model.graph
    limit = next((t for t in graph.initializer if t.name.endswith(THRESHOLD)), None)
    ask = next((node for node in graph.node if node.op_type == "If"), None)
    if limit is None or ask is None:
        raise DataError(
            "a cascade must hold its second model in an If and a threshold for it, but this file "
            "does not: export it again"
        )
    prefix = limit.name.removesuffix(THRESHOLD)
    then = next(each.g for each in ask.attribute if each.name == "then_branch")
    logits = next(node for node in graph.node if node.op_type == "Softmax" and _own(node, prefix))
    scatter = next(node for node in then.node if node.op_type == "ScatterND")
    second = [node for node in then.node if not _own(node, prefix)]
    first = [node for node in graph.node if not _own(node, prefix) and node is not ask]
    return CascadeParts(
        part(
            model, first, graph.initializer, {graph.input[0].name: INPUT, logits.input[0]: OUTPUT}
        ),
        part(
            model,
            second,
            then.initializer,
            {f"{prefix}{OWN}rows": INPUT, scatter.input[2]: OUTPUT},
        ),
        float(numpy_helper.to_array(limit)),
    )


def sureness(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability of each example's likeliest class, as the file computes it, ``[n]``."""
    sure: NDArray[np.float32] = torch.from_numpy(logits).softmax(1).amax(1).numpy()
    return sure


def merged_answers(
    first: NDArray[np.float32], second: NDArray[np.float32], threshold: float
) -> NDArray[np.float32]:
    """What a cascade answers, given the logits of both models ``[n, classes]``."""
    unsure = sureness(first) < np.float32(threshold)
    return np.where(unsure[:, None], second, first)


def _own(node: onnx.NodeProto, prefix: str) -> bool:
    return all(name.startswith(f"{prefix}{OWN}") for name in node.output)

"""Postprocessing as ONNX operators: from answers to labels with probabilities, or to numbers."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from greenfront.objectives.metric_scores import log_odds
from greenfront.objectives.wrapping.graph_builder import ML, GraphBuilder
from greenfront.objectives.wrapping.labels import Labels

__all__ = ["postprocessing"]


VALUE, LABEL, PROBABILITIES = "value", "label", "probabilities"
"""Outputs of a whole file: of numbers the first, of classes the others."""


def postprocessing(labels: Labels, prefix: str, source: str) -> GraphBuilder:
    """Labels ``string [n]`` and probabilities float32 ``[n, classes]``, or numbers float32 ``[n]``.

    Args:
        labels: What answers stand for; numbers are in the unit of the target already.
        prefix: Of the names that are made here.
        source: Name of the logits or numbers.
    """
    graph = GraphBuilder(prefix)
    if not labels.classes:
        graph.outputs.append(helper.make_tensor_value_info(VALUE, TensorProto.FLOAT, ["n"]))
        graph.add("Squeeze", source, graph.constant("last", np.array([1])), named=VALUE)
        return graph
    shape: list[int | str] = ["n", len(labels.classes)]
    graph.outputs += [
        helper.make_tensor_value_info(LABEL, TensorProto.STRING, ["n"]),
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, shape),
    ]
    graph.add("Softmax", source, named=PROBABILITIES, axis=-1)
    if labels.threshold is None:
        index = graph.add("ArgMax", source, axis=-1, keepdims=0)
    else:
        index = _decided(graph, source, labels.threshold, labels.positive)
    graph.add(
        *("LabelEncoder", index),
        named=LABEL,
        domain=ML,
        keys_int64s=list(range(len(labels.classes))),
        values_strings=list(labels.classes),
    )
    return graph


def _decided(graph: GraphBuilder, source: str, threshold: float, positive: int) -> str:
    """As :func:`~greenfront.objectives.metric_scores.decided` does it, in double precision."""
    wide = graph.add("Cast", source, to=TensorProto.DOUBLE)
    mine, other = (
        graph.add("Gather", wide, graph.constant(name, np.array(place)), axis=1)
        for name, place in (("positive", positive), ("negative", 1 - positive))
    )
    margin = graph.add("Sub", mine, other)
    least = graph.constant("least", np.array(log_odds(threshold)))
    is_positive = graph.add("GreaterOrEqual", margin, least)
    return graph.add("Where", is_positive, f"{graph.prefix}positive", f"{graph.prefix}negative")

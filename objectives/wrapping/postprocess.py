"""Postprocessing as ONNX operators: from answers to labels with probabilities, or to numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, helper

from greenfront.objectives.metric_scores import log_odds
from greenfront.objectives.wrapping.graph_builder import ML, GraphBuilder

__all__ = ["class_postprocessing", "number_postprocessing"]


def class_postprocessing(
    classes: Sequence[str],
    threshold: float | None,
    positive: int,
    prefix: str,
    source: str,
    outputs: tuple[str, str],
) -> GraphBuilder:
    """Labels ``string [n]`` and probabilities float32 ``[n, classes]``.

    Args:
        classes: Their names in index order.
        threshold: Of two classes: the probability from which on it is the positive one; ``None``:
            the class of the highest logit.
        positive: Index of that class.
        prefix: Of the names that are made here.
        source: Name of the logits.
        outputs: Names of labels and probabilities.
    """
    graph = GraphBuilder(prefix)
    label, probabilities = outputs
    graph.outputs += [
        helper.make_tensor_value_info(label, TensorProto.STRING, ["n"]),
        helper.make_tensor_value_info(probabilities, TensorProto.FLOAT, ["n", len(classes)]),
    ]
    graph.add("Softmax", source, named=probabilities, axis=-1)
    if threshold is None:
        index = graph.add("ArgMax", source, axis=-1, keepdims=0)
    else:
        index = _decided(graph, source, threshold, positive)
    graph.add(
        *("LabelEncoder", index),
        named=label,
        domain=ML,
        keys_int64s=list(range(len(classes))),
        values_strings=list(classes),
    )
    return graph


def number_postprocessing(prefix: str, source: str, output: str) -> GraphBuilder:
    """Numbers in the unit of the target, float32 ``[n]``."""
    graph = GraphBuilder(prefix)
    graph.outputs.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n"]))
    graph.add("Squeeze", source, graph.constant("last", np.array([1])), named=output)
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

"""What makes a model's answers into what users asked for: labels with probabilities, or numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, helper

from greenfront.objectives.metric_scores import log_odds
from greenfront.objectives.wrapping.piece import ML, Piece

__all__ = ["class_outlet", "number_outlet"]


def class_outlet(
    classes: Sequence[str],
    threshold: float | None,
    positive: int,
    prefix: str,
    source: str,
    outputs: tuple[str, str],
) -> Piece:
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
    piece = Piece(prefix)
    label, probabilities = outputs
    piece.outputs += [
        helper.make_tensor_value_info(label, TensorProto.STRING, ["n"]),
        helper.make_tensor_value_info(probabilities, TensorProto.FLOAT, ["n", len(classes)]),
    ]
    piece.add("Softmax", source, named=probabilities, axis=-1)
    if threshold is None:
        index = piece.add("ArgMax", source, axis=-1, keepdims=0)
    else:
        index = _decided(piece, source, threshold, positive)
    piece.add(
        *("LabelEncoder", index),
        named=label,
        domain=ML,
        keys_int64s=list(range(len(classes))),
        values_strings=list(classes),
    )
    return piece


def number_outlet(prefix: str, source: str, output: str) -> Piece:
    """Numbers in the unit of the target, float32 ``[n]``."""
    piece = Piece(prefix)
    piece.outputs.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n"]))
    piece.add("Squeeze", source, piece.constant("last", np.array([1])), named=output)
    return piece


def _decided(piece: Piece, source: str, threshold: float, positive: int) -> str:
    """As :func:`~greenfront.objectives.metric_scores.decided` does it, in double precision."""
    wide = piece.add("Cast", source, to=TensorProto.DOUBLE)
    mine, other = (
        piece.add("Gather", wide, piece.constant(name, np.array(place)), axis=1)
        for name, place in (("positive", positive), ("negative", 1 - positive))
    )
    margin = piece.add("Sub", mine, other)
    least = piece.constant("least", np.array(log_odds(threshold)))
    is_positive = piece.add("GreaterOrEqual", margin, least)
    return piece.add("Where", is_positive, f"{piece.prefix}positive", f"{piece.prefix}negative")

"""From a fitted model of scikit-learn to an ONNX file that answers as a network's does.

Of classes, its softmax gives the model's probabilities: with two classes the first answer is 0 and
the second the log-odds. Written here and not by skl2onnx, whose classifiers add a class to each
answer, and which cannot write boosted trees with the protobuf that is installed beside onnx now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from greenfront.objectives.stages.export import INPUT, OPSET, OUTPUT
from greenfront.objectives.stages.trees import (
    Tree,
    boosted_trees,
    tree_ensemble,
    trees_of_forest,
)

__all__ = ["LEAST_PROBABILITY", "FittedSize", "fitted_to_onnx"]

ML_OPSET = 3
IR_VERSION = 8
"""That of torch's exporter."""

LEAST_PROBABILITY = 1e-7
"""Of a class for which no tree votes, which otherwise had an infinite logarithm."""


@dataclass(frozen=True, slots=True)
class FittedSize:
    """How large a fitted model is.

    Attributes:
        parameters: Weights; of trees, thresholds and what leaves add.
        flops: Operations of one prediction: multiplications and additions, comparisons on the
            longest way through each tree.
    """

    parameters: int
    flops: int


class _Graph:
    """Nodes and constants in the order in which they are computed, one after the other."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = INPUT

    def add(self, kind: str, *constants: NDArray[Any], **attributes: Any) -> None:
        """An operator of the result so far and of constants."""
        names = [f"{kind}_{len(self.constants) + index}" for index in range(len(constants))]
        self.constants += [
            numpy_helper.from_array(constant, name)
            for name, constant in zip(names, constants, strict=True)
        ]
        target = f"{kind}_out"
        self.nodes.append(helper.make_node(kind, [self.last, *names], [target], **attributes))
        self.last = target

    def trees(self, trees: Sequence[Tree], begin: NDArray[np.float64]) -> FittedSize:
        """All trees, summed up."""
        target = "trees_out"
        self.nodes += tree_ensemble(trees, begin, self.last, target)
        self.last = target
        leaves = [tree.contributions[0] for tree in trees]
        branches = sum(int(np.count_nonzero(~tree.leaf)) for tree in trees)
        flops = sum(
            tree.depth + int(np.bincount(at).max()) for tree, at in zip(trees, leaves, strict=True)
        )
        return FittedSize(branches + sum(map(len, leaves)), flops)

    def linear(self, model: Any, outputs: int) -> FittedSize:
        """A matrix product."""
        weight = np.atleast_2d(model.coef_).T
        bias = np.ravel(model.intercept_)
        missing = outputs - weight.shape[1]
        weight = np.pad(weight, ((0, 0), (missing, 0))).astype(np.float32)
        self.add("Gemm", weight, np.pad(bias, (missing, 0)).astype(np.float32))
        return FittedSize(weight.size, 2 * weight.size)

    def tfidf(self, vectorizer: Any) -> None:
        """Counts of token numbers and of pairs of them, weighted, as vectors of length 1."""
        # The operator wants all single tokens before all pairs.
        terms = sorted(vectorizer.vocabulary_, key=lambda term: (len(term), term))
        pool = [token for term in terms for token in term]
        self.add(
            "TfIdfVectorizer",
            mode="TFIDF",
            min_gram_length=1,
            max_gram_length=2,
            max_skip_count=0,
            ngram_counts=[0, sum(len(term) == 1 for term in terms)],
            ngram_indexes=[int(vectorizer.vocabulary_[term]) for term in terms],
            pool_int64s=pool,
            weights=[float(vectorizer.idf_[vectorizer.vocabulary_[term]]) for term in terms],
        )
        self.add("LpNormalization", axis=-1, p=2)


def fitted_to_onnx(
    model: Any, input_shape: tuple[int, ...], outputs: int, path: Path
) -> FittedSize:
    """Writes a file at 32 bits, with a free batch axis.

    Args:
        model: A fitted estimator of :mod:`greenfront.spaces.architectures.sklearn`.
        input_shape: Of one input, without the batch axis; ``()`` for token numbers.
        outputs: Classes, or 1 for a number.
        path: Written.
    """
    graph = _Graph()
    if len(input_shape) > 1:
        graph.add("Flatten")
    if hasattr(model, "steps"):
        vectorizer, model = (step for _, step in model.steps)
        graph.tfidf(vectorizer)
    if hasattr(model, "coef_"):
        size = graph.linear(model, outputs)
    elif hasattr(model, "estimators_"):
        size = graph.trees(trees_of_forest(model), np.zeros(outputs))
        if outputs > 1:
            graph.add("Clip", np.array(LEAST_PROBABILITY, dtype=np.float32))
            graph.add("Log")
    else:
        begin = np.ravel(model._baseline_prediction)
        begin = np.pad(begin, (outputs - len(begin), 0))
        size = graph.trees(boosted_trees(model, outputs), begin)
    _save(graph, input_shape, outputs, path)
    return size


def _save(graph: _Graph, input_shape: tuple[int, ...], outputs: int, path: Path) -> None:
    graph.nodes[-1].output[0] = OUTPUT
    kind = TensorProto.FLOAT if input_shape else TensorProto.INT64
    shape = ["n", *(input_shape or ("length",))]
    whole = helper.make_graph(
        graph.nodes,
        "fitted",
        [helper.make_tensor_value_info(INPUT, kind, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", outputs])],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    onnx.save(helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION), path)

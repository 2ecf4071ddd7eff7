"""Trees of scikit-learn as operators of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

__all__ = [
    "MOST_TREES",
    "Tree",
    "boosted_trees",
    "single_precision",
    "tree_ensemble",
    "trees_of_forest",
]

MOST_TREES = 75
"""Of an operator, also for lineage keys. Where one has more than 80 (``parallel_tree_`` in ONNX
Runtime's ``tree_ensemble_common.h``), a session without options shares the trees of a single
example out among threads that spin while they wait: twice the joules and more."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree as arrays, one row a node; the first is the root.

    Attributes:
        feature: Of a branch, the number that it looks at.
        threshold: Of a branch: numbers up to it go left.
        left: Child of a branch.
        right: Child of a branch.
        leaf: Whether the node is a leaf.
        value: What a leaf adds to each output, ``[nodes, outputs]``; 0 where nothing.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaf: NDArray[np.bool_]
    value: NDArray[np.float64]

    @property
    def depth(self) -> int:
        """Branches on the longest way to a leaf."""
        level, depth = np.zeros(1, dtype=np.int64), 0
        while len(level := level[~self.leaf[level]]):
            level, depth = np.concatenate([self.left[level], self.right[level]]), depth + 1
        return depth

    @property
    def contributions(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Leaf and output of each number that a leaf adds; each leaf adds one at least, if 0."""
        told = self.value != 0
        told[self.leaf & ~told.any(axis=1), 0] = True
        leaves, outputs = np.nonzero(told)
        return leaves, outputs


def single_precision(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest numbers in single precision that are no larger.

    A number in single precision is at most the threshold if and only if it is at most that, so that
    each goes the way that it went before.
    """
    nearest = thresholds.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > thresholds, below, nearest)


def trees_of_forest(forest: Any) -> list[Tree]:
    """The trees of a forest, classifier or regressor: their mean is its answer."""
    found = []
    for member in forest.estimators_:
        inner = member.tree_
        leaf = inner.children_left < 0
        found.append(
            Tree(
                inner.feature.astype(np.int64),
                single_precision(inner.threshold),
                inner.children_left.astype(np.int64),
                inner.children_right.astype(np.int64),
                leaf,
                np.where(leaf[:, None], inner.value[:, 0, :], 0.0) / len(forest.estimators_),
            )
        )
    return found


def boosted_trees(model: Any, outputs: int) -> list[Tree]:
    """The trees of a histogram gradient boosting, classifier or regressor: they are summed up.

    With two classes its one column of trees is the log-odds of the second.
    """
    found = []
    for turn in model._predictors:
        for column, member in enumerate(turn, start=outputs - len(turn)):
            nodes = member.nodes
            leaf = nodes["is_leaf"].astype(bool)
            value = np.zeros((len(nodes), outputs))
            value[leaf, column] = nodes["value"][leaf]
            found.append(
                Tree(
                    nodes["feature_idx"].astype(np.int64),
                    single_precision(nodes["num_threshold"]),
                    nodes["left"].astype(np.int64),
                    nodes["right"].astype(np.int64),
                    leaf,
                    value,
                )
            )
    return found


def tree_ensemble(
    trees: Sequence[Tree], begin: NDArray[np.float64], source: str, target: str
) -> list[onnx.NodeProto]:
    """Operators that add the leaves of all trees to ``begin``, one number an output.

    Of more than :data:`MOST_TREES` trees there are several, equally large, and their sum.
    """
    count = -(-len(trees) // MOST_TREES)
    if count == 1:
        return [_summed(trees, begin, source, target)]
    sums = [f"{target}_{place}" for place in range(count)]
    begins = [begin, *[np.zeros(len(begin))] * (count - 1)]
    nodes = [
        _summed(trees[place::count], begins[place], source, each) for place, each in enumerate(sums)
    ]
    return [*nodes, helper.make_node("Sum", sums, [target])]


def _summed(
    trees: Sequence[Tree], begin: NDArray[np.float64], source: str, target: str
) -> onnx.NodeProto:
    """The operator that adds the leaves of its trees to ``begin``."""

    def rows(arrays: Iterable[NDArray[Any]]) -> list[Any]:
        return list(np.concatenate(list(arrays)).tolist())

    leaves = [tree.contributions for tree in trees]
    if begin.any():
        # The runtime adds it to those outputs alone that a leaf has reached, be it with 0.
        first = trees[0]
        at, column = np.nonzero(np.broadcast_to(first.leaf[:, None], first.value.shape))
        leaves[0] = at, column
    return helper.make_node(
        "TreeEnsembleRegressor",
        [source],
        [target],
        domain="ai.onnx.ml",
        n_targets=len(begin),
        aggregate_function="SUM",
        post_transform="NONE",
        base_values=begin.astype(np.float32).tolist(),
        nodes_treeids=rows(np.full(len(t.leaf), i) for i, t in enumerate(trees)),
        nodes_nodeids=rows(np.arange(len(t.leaf)) for t in trees),
        nodes_modes=["LEAF" if leaf else "BRANCH_LEQ" for leaf in rows(t.leaf for t in trees)],
        nodes_featureids=rows(np.where(t.leaf, 0, t.feature) for t in trees),
        nodes_values=rows(np.where(t.leaf, 0, t.threshold) for t in trees),
        nodes_truenodeids=rows(np.where(t.leaf, 0, t.left) for t in trees),
        nodes_falsenodeids=rows(np.where(t.leaf, 0, t.right) for t in trees),
        target_treeids=rows(np.full(len(at), i) for i, (at, _) in enumerate(leaves)),
        target_nodeids=rows(at for at, _ in leaves),
        target_ids=rows(column for _, column in leaves),
        target_weights=rows(t.value[at] for t, at in zip(trees, leaves, strict=True)),
    )

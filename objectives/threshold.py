"""From which probability on a classifier of two classes should say yes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["CRITERIA", "Criterion", "best_threshold"]

Counts = NDArray[np.float64]

Criterion = Callable[[Counts, Counts, float, float], NDArray[np.float64]]
"""Worth of decisions by true positives, false positives, and the numbers of either class."""

SURE = 30.0
"""Logarithms of odds beyond this would be probabilities of 0 and 1."""


def _accuracy(tp: Counts, fp: Counts, yes: float, no: float) -> Counts:
    return (tp + no - fp) / (yes + no)


def _balanced(tp: Counts, fp: Counts, yes: float, no: float) -> Counts:
    return (tp / yes + (no - fp) / no) / 2


def _f1(tp: Counts, fp: Counts, yes: float, no: float) -> Counts:  # noqa: ARG001 - all have it
    return 2 * tp / (tp + fp + yes)


def _f1_macro(tp: Counts, fp: Counts, yes: float, no: float) -> Counts:
    return (_f1(tp, fp, yes, no) + _f1(no - fp, yes - tp, no, yes)) / 2


CRITERIA: dict[str, tuple[str, Criterion]] = {
    "accuracy": ("accuracy", _accuracy),
    "balanced_accuracy": ("balanced accuracy", _balanced),
    "f1_macro": ("macro F1", _f1_macro),
    "roc_auc": ("balanced accuracy", _balanced),
    "average_precision": ("F1 of the positive class", _f1),
}
"""What a threshold maximises under a metric, in words. ROC AUC and average precision rank only:
there it is what stands on one point of the curve."""


def best_threshold(
    margins: NDArray[np.float64], is_positive: NDArray[np.bool_], criterion: Criterion
) -> float:
    """The probability from which on to decide for the positive class, 0 to 1.

    All cuts between two different margins are tried; of equally good ones that nearest to even
    odds is taken. It lies in the middle between the answers on either side.

    Args:
        margins: Logarithm of the odds of the positive class, finite, ``[n]``.
        is_positive: Whether it is the true one, ``[n]``; both classes are among them.
        criterion: What is to be as high as possible.
    """
    order = np.argsort(-margins, kind="stable")
    ranked = np.clip(margins[order], -SURE, SURE)
    hits = is_positive[order]
    yes = float(hits.sum())
    tp = np.concatenate([[0.0], np.cumsum(hits)])
    fp = np.arange(len(tp)) - tp
    edges = np.concatenate([[ranked[0] + 1], ranked, [ranked[-1] - 1]])
    cuts = (edges[:-1] + edges[1:]) / 2
    # Between equal answers there is no cut; at the ends are those that say all or nothing.
    possible = edges[:-1] > edges[1:]
    worth = np.where(possible, criterion(tp, fp, yes, len(hits) - yes), -np.inf)
    best = np.flatnonzero(worth >= worth.max() - 1e-12)
    cut = cuts[best[np.argmin(np.abs(cuts[best]))]]
    return float(1 / (1 + np.exp(-cut)))

"""Metrics on resamples of the examples, without sorting or judging the answers anew each time.

A resample says how often each example counts. With such weights a score is a few sums over what is
prepared once: which answers are right, or in what order they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.metric_scores import decided, positive_margin
from greenfront.objectives.metrics import Metric
from greenfront.objectives.resampling import resampled_scores

__all__ = ["resampled_metric"]

Weighted = Callable[[NDArray[np.float64]], float]
"""A score by how often each example counts, ``[n]``."""


def resampled_metric(
    metric: Metric, answers: NDArray[Any], labels: NDArray[Any], threshold: float | None = None
) -> NDArray[np.float32]:
    """Scores on resamples, float32 ``[DRAWS]``; arguments as those of :meth:`Metric.score`.

    Of classes within each class. The scores are those that :meth:`Metric.score` gives for the
    examples of each resample.
    """
    examples = len(labels)
    strata = np.zeros(examples, dtype=np.int64) if metric.of_numbers else labels
    weighted = _weighted(metric, answers, labels, threshold)
    if weighted is None:
        return resampled_scores(
            lambda chosen: metric.score(answers[chosen], labels[chosen], threshold), strata
        )

    def score(chosen: NDArray[np.int64]) -> float:
        return weighted(np.bincount(chosen, minlength=examples).astype(np.float64))

    return resampled_scores(score, strata)


def _weighted(
    metric: Metric, answers: NDArray[Any], labels: NDArray[Any], threshold: float | None
) -> Weighted | None:
    """``None`` for what takes other ranks in each resample."""
    match metric.name:
        case "spearman":
            return None
        case "r2" | "rmse" | "mae":
            return _of_numbers(metric.name, answers.reshape(-1).astype(np.float64), labels)
        case "roc_auc" | "average_precision":
            return _of_rankings(metric, answers, labels)
        case _:
            given = decided(answers, threshold, metric.positive)
            return _of_decisions(metric.name, given, labels)


def _of_numbers(name: str, answers: NDArray[np.float64], labels: NDArray[Any]) -> Weighted:
    wanted = labels.astype(np.float64)
    errors = np.abs(answers - wanted)
    squares = errors**2

    def r2(weights: NDArray[np.float64]) -> float:
        mean = weights @ wanted / weights.sum()
        whole, left = float(weights @ (wanted - mean) ** 2), float(weights @ squares)
        return 1 - left / whole if whole else float(left == 0)

    if name == "r2":
        return r2
    if name == "mae":
        return lambda weights: float(weights @ errors / weights.sum())
    return lambda weights: float(np.sqrt(weights @ squares / weights.sum()))


def _of_decisions(name: str, given: NDArray[np.int64], labels: NDArray[Any]) -> Weighted:
    right = given == labels
    if name == "accuracy":
        return lambda weights: float(weights @ right / weights.sum())
    classes = int(max(given.max(), labels.max())) + 1
    hits = np.where(right, labels, classes)  # what is wrong is counted behind the classes

    def scores(weights: NDArray[np.float64]) -> float:
        hit = np.bincount(hits, weights, classes + 1)[:classes]
        there = np.bincount(labels, weights, classes)
        if name == "balanced_accuracy":
            return float(np.mean(hit[there > 0] / there[there > 0]))
        either = there + np.bincount(given, weights, classes)
        return float(np.mean(2 * hit[either > 0] / either[either > 0]))

    return scores


def _of_rankings(metric: Metric, answers: NDArray[Any], labels: NDArray[Any]) -> Weighted:
    judge = _roc_auc if metric.name == "roc_auc" else _average_precision
    if answers.shape[1] == 2:
        margin = positive_margin(answers, metric.positive)
        return judge(margin, labels == metric.positive)
    from scipy.special import softmax

    shares = softmax(answers.astype(np.float64), axis=1)
    each = [judge(shares[:, index], labels == index) for index in np.unique(labels)]
    return lambda weights: float(np.mean([one(weights) for one in each]))


def _grouped(
    scores: NDArray[np.float64], is_positive: NDArray[np.bool_]
) -> Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Weights of the positive and of the other examples, by distinct score from the highest."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores = scores[order]
    starts = np.flatnonzero(np.r_[True, sorted_scores[1:] != sorted_scores[:-1]])
    positive = is_positive[order]

    def by_score(
        weights: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        ordered = weights[order]
        both = np.add.reduceat(ordered, starts)
        found = np.add.reduceat(ordered * positive, starts)
        return found, both - found

    return by_score


def _roc_auc(scores: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> Weighted:
    by_score = _grouped(scores, is_positive)

    def area(weights: NDArray[np.float64]) -> float:
        found, others = by_score(weights)
        # Pairs in the right order; those of equal scores count half.
        above = np.cumsum(found) - found / 2
        return float(others @ above / (found.sum() * others.sum()))

    return area


def _average_precision(scores: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> Weighted:
    by_score = _grouped(scores, is_positive)

    def precision(weights: NDArray[np.float64]) -> float:
        found, others = by_score(weights)
        hits, taken = np.cumsum(found), np.cumsum(found + others)
        shares = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
        return float(found @ shares / found.sum())

    return precision

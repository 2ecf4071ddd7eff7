"""Scores of a model's answers, by scikit-learn: see :mod:`greenfront.objectives.metrics`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["decided", "log_odds", "positive_margin", "score"]

_OF_NUMBERS = ("r2", "rmse", "mae", "spearman")
_OF_RANKINGS = ("roc_auc", "average_precision")


def score(
    name: str,
    answers: NDArray[Any],
    labels: NDArray[Any],
    threshold: float | None = None,
    positive: int = 1,
) -> float:
    """See :meth:`~greenfront.objectives.metrics.Metric.score`, of the metric of a name."""
    if not np.isfinite(answers).all():
        raise ValueError("answers to be judged must be finite, but hold NaN or infinity")
    if name in _OF_NUMBERS:
        return _number_score(name, answers.reshape(-1).astype(np.float64), labels)
    if name in _OF_RANKINGS:
        return _ranking_score(name, answers, labels, positive)
    return _class_score(name, decided(answers, threshold, positive), labels)


def decided(
    answers: NDArray[Any], threshold: float | None = None, positive: int = 1
) -> NDArray[np.int64]:
    """The classes that logits stand for, int64 ``[n]``.

    Args:
        answers: Logits ``[n, classes]``.
        threshold: Of two classes: the probability from which on the answer is ``positive``, 0 to
            1. ``None``: the class of the highest logit.
        positive: Index of that class.
    """
    if threshold is None:
        return np.asarray(answers.argmax(-1), dtype=np.int64)
    is_positive = positive_margin(answers, positive) >= log_odds(threshold)
    return np.where(is_positive, positive, 1 - positive).astype(np.int64)


def positive_margin(answers: NDArray[Any], positive: int) -> NDArray[np.float64]:
    """Logarithm of the odds of one of two classes, ``[n]``."""
    wide = answers.astype(np.float64)
    return np.asarray(wide[:, positive] - wide[:, 1 - positive])


def log_odds(probability: float) -> float:
    """Logarithm of the odds; infinite at 0 and 1."""
    with np.errstate(divide="ignore"):
        return float(np.log(probability) - np.log1p(-np.float64(probability)))


def _class_score(name: str, given: NDArray[Any], labels: NDArray[Any]) -> float:
    if name == "accuracy":
        return float((given == labels).mean())
    from sklearn.metrics import f1_score, recall_score

    if name == "f1_macro":
        return float(f1_score(labels, given, average="macro", zero_division=0))
    # What scikit-learn calls balanced accuracy, without its warning about classes not judged.
    return float(
        recall_score(labels, given, labels=np.unique(labels), average="macro", zero_division=0)
    )


def _ranking_score(name: str, answers: NDArray[Any], labels: NDArray[Any], positive: int) -> float:
    from scipy.special import softmax
    from sklearn.metrics import average_precision_score, roc_auc_score

    judge = roc_auc_score if name == "roc_auc" else average_precision_score
    if answers.shape[1] == 2:
        return float(judge(labels == positive, positive_margin(answers, positive)))
    shares = softmax(answers.astype(np.float64), axis=1)
    present = np.unique(labels)
    return float(np.mean([judge(labels == index, shares[:, index]) for index in present]))


def _number_score(name: str, answers: NDArray[np.float64], labels: NDArray[Any]) -> float:
    if name == "spearman":
        from scipy.stats import spearmanr

        if np.ptp(answers) == 0 or np.ptp(labels) == 0:
            return 0.0
        return float(spearmanr(labels, answers).statistic)
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    judges = {"r2": r2_score, "rmse": root_mean_squared_error, "mae": mean_absolute_error}
    return float(judges[name](labels, answers))

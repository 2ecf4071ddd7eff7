"""Judging an exported file by its answers: its score, and what it decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.metric_scores import decided, positive_margin
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Decisions
from greenfront.objectives.resampled_metrics import resampled_metric
from greenfront.objectives.resampling import packed
from greenfront.objectives.threshold import CRITERIA, best_threshold

__all__ = ["Judgement", "Judging", "Threshold"]

Threshold = float | Literal["auto", "tuned"]
"""A probability; ``"tuned"`` on the examples that trials are judged on; ``"auto"``: tuned where the
metric is not accuracy."""

MOST_RANKED = 200_000
"""Answers that are sorted anew for each resample: more would take many seconds a trial."""

MOST_CLASSES = 20
"""Of a confusion matrix that is kept."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What some answers are worth.

    Attributes:
        score: In the metric's unit.
        decisions: Which classes they stand for; ``None`` for numbers.
        resampled: Scores on resamples of the same examples, packed by
            :mod:`greenfront.objectives.resampling`; ``None`` where that would take too long.
    """

    score: float
    decisions: Decisions | None
    resampled: str | None


@dataclass(frozen=True, slots=True)
class Judging:
    """How the trials of a study are judged.

    Attributes:
        metric: The study's.
        threshold: From which probability on two classes are decided for the positive one.
    """

    metric: Metric
    threshold: Threshold = "auto"

    def judge(self, answers: NDArray[Any], labels: NDArray[Any]) -> Judgement:
        """Judges finite answers; arguments as those of :meth:`Metric.score`.

        A threshold that is tuned is tuned on these very answers: a score that depends on it (not
        ROC AUC, nor average precision) flatters by as much.
        """
        return self.judge_at(self._threshold(answers, labels), answers, labels)

    def judge_at(
        self, threshold: float | None, answers: NDArray[Any], labels: NDArray[Any]
    ) -> Judgement:
        """Judges finite answers with a threshold that is known already; see :meth:`judge`."""
        metric, decisions = self.metric, None
        if not metric.of_numbers:
            given = decided(answers, threshold, metric.positive)
            decisions = _decisions(given, labels, answers.shape[1], threshold)
        again = None
        if not metric.ranks or answers.size <= MOST_RANKED:
            again = packed(resampled_metric(metric, answers, labels, threshold))
        return Judgement(metric.score(answers, labels, threshold), decisions, again)

    def score(self, answers: NDArray[Any], labels: NDArray[Any]) -> float:
        """The score alone, which takes a moment; see :meth:`judge`."""
        return self.metric.score(answers, labels, self._threshold(answers, labels))

    def _threshold(self, answers: NDArray[Any], labels: NDArray[Any]) -> float | None:
        """``None`` where the class of the highest logit is decided for, and for numbers."""
        if self.metric.of_numbers or answers.shape[1] != 2:
            return None
        if isinstance(self.threshold, float):
            return self.threshold
        if self.threshold == "auto" and self.metric.name == "accuracy":
            return None
        is_positive = labels == self.metric.positive
        if is_positive.all() or not is_positive.any():
            return None
        margins = positive_margin(answers, self.metric.positive)
        return best_threshold(margins, is_positive, CRITERIA[self.metric.name][1])


def _decisions(
    given: NDArray[np.int64], labels: NDArray[Any], classes: int, threshold: float | None
) -> Decisions:
    pairs = np.bincount(labels * classes + given, minlength=classes**2).reshape(classes, classes)
    rows = tuple(tuple(row) for row in pairs.tolist())
    return Decisions(
        tuple(pairs.sum(axis=0).tolist()), threshold, rows if classes <= MOST_CLASSES else None
    )

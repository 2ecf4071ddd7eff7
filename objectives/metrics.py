"""What a model is judged by: the metrics that the first objective can be, each with its direction.

A metric is the same everywhere: as it is computed from the answers of an exported file, compared,
written, and counted in a Green Score. Nothing here loads scikit-learn before a score is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from greenfront.errors import UsageError

if TYPE_CHECKING:  # a study file is read without numpy
    import numpy as np
    from numpy.typing import NDArray

    from greenfront.objectives.tasks.task import TaskFacts

__all__ = ["METRIC_NAMES", "Metric", "MetricName", "study_metric"]

MetricName = Literal[
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "roc_auc",
    "average_precision",
    "r2",
    "rmse",
    "mae",
    "spearman",
]

METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)


@dataclass(frozen=True, slots=True)
class _Form:
    """What is the same of a metric on all data: see :class:`Metric`."""

    title: str
    of_numbers: bool = False
    maximise: bool = True
    in_percent: bool = False


_FORMS: dict[str, _Form] = {
    "accuracy": _Form("Accuracy", in_percent=True),
    "balanced_accuracy": _Form("Balanced accuracy", in_percent=True),
    "f1_macro": _Form("Macro F1", in_percent=True),
    "roc_auc": _Form("ROC AUC"),
    "average_precision": _Form("Average precision"),
    "r2": _Form("R²", of_numbers=True),
    "rmse": _Form("RMSE", of_numbers=True, maximise=False),
    "mae": _Form("MAE", of_numbers=True, maximise=False),
    "spearman": _Form("Spearman's ρ", of_numbers=True),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """The metric of one study.

    Scores are in the metric's own unit: shares from 0 to 1 of classes, R² and Spearman's ρ up to
    1, errors in the unit of the target.

    Attributes:
        name: In the study file.
        nothing: What a model scores that has learnt nothing: one that always gives the same
            answer, the most frequent class, the mean (``r2``, ``rmse``) or the median (``mae``) of
            the training split.
        unit: Of an error: the target's, in words; empty for all others.
        positive: Index of the class that two classes are looked for by.
    """

    name: MetricName
    nothing: float
    unit: str = ""
    positive: int = 1

    @property
    def title(self) -> str:
        """For people, such as ``"ROC AUC"``."""
        return _FORMS[self.name].title

    @property
    def word(self) -> str:
        """The title within a sentence, such as ``"accuracy"`` or ``"ROC AUC"``."""
        title = self.title
        is_word = title[1].islower() and self.name != "spearman"
        return title[0].lower() + title[1:] if is_word else title

    @property
    def heading(self) -> str:
        """For a column: the title and an arrow towards the better, such as ``"RMSE ↓"``."""
        return f"{self.title} {'↑' if self.maximise else '↓'}"

    @property
    def maximise(self) -> bool:
        """Whether more is better; errors are minimised."""
        return _FORMS[self.name].maximise

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """The same in Optuna's words."""
        return "maximize" if self.maximise else "minimize"

    @property
    def in_percent(self) -> bool:
        """Whether people read it in percent."""
        return _FORMS[self.name].in_percent

    @property
    def of_numbers(self) -> bool:
        """Whether it judges numbers, else classes."""
        return _FORMS[self.name].of_numbers

    @property
    def ranks(self) -> bool:
        """Whether it looks at the order of answers alone, class by class."""
        return self.name in ("roc_auc", "average_precision")

    @property
    def perfect(self) -> float:
        """What a faultless model scores."""
        return 1.0 if self.maximise else 0.0

    @property
    def unit_drop(self) -> float:
        """What an allowed drop of 1 stands for: 1, or the whole error of :attr:`nothing`."""
        return 1.0 if self.maximise else self.nothing

    @property
    def told(self) -> str:
        """The metric with its unit and direction, such as ``"RMSE (in units of 'dose', …)"``."""
        unit = "%" if self.in_percent else self.unit
        better = f"{'higher' if self.maximise else 'lower'} is better"
        return f"{self.title} ({', '.join(filter(None, [unit, better]))})"

    @property
    def counted(self) -> str:
        """What a Green Score counts, in words."""
        if not self.maximise:
            return f"{self.title} saved against a model that has learnt nothing, in %"
        return f"{self.word} in %" if self.in_percent else f"100 × {self.title}"

    def gain(self, score: float) -> float:
        """By how much a score is better than :attr:`nothing`, in its own unit."""
        return -self.worse_by(score, self.nothing)

    def worse_by(self, score: float, than: float) -> float:
        """By how much a score is worse than another, in its own unit; below 0 where it is better.

        The one place that knows what worse means.
        """
        return than - score if self.maximise else score - than

    def has_learnt(self, score: float) -> bool:
        """Whether a score is better than :attr:`nothing`."""
        return self.gain(score) > 0

    def percent(self, score: float) -> float:
        """A score as the percent that a Green Score counts, 0 at least.

        A share, R² or ρ times 100. Of an error: by how much it is below that of a model that has
        learnt nothing, in percent of that one.
        """
        return 100.0 * max(0.0, score if self.maximise else 1.0 - score / self.nothing)

    def percents(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of many scores."""
        return 100.0 * (scores if self.maximise else 1.0 - scores / self.nothing).clip(0.0)

    def text(self, score: float) -> str:
        """A score for people, with its unit; what is short of 100 % is not rounded up to it."""
        if self.in_percent:
            digits = next((n for n in range(1, 6) if round(score, n + 2) < 1), 0)
            return f"{score:.{digits}%}"
        return f"{score:.3g}".replace("-", "−", 1) + (f" {self.unit}" if self.unit else "")

    def score(
        self, answers: NDArray[Any], labels: NDArray[Any], threshold: float | None = None
    ) -> float:
        """Judges a model's answers.

        Metrics of classes are those of scikit-learn; with more than two classes ROC AUC and
        average precision are the mean over each class against the rest. What cannot be computed
        says that nothing was learnt: ρ of answers that are all equal is 0.

        Args:
            answers: Logits ``[n, classes]``, or numbers ``[n, 1]`` in the target's unit.
            labels: Class indices ``[n]``, or numbers ``[n]`` in the target's unit.
            threshold: Of two classes: the probability from which on the positive one is
                decided for; ROC AUC and average precision do without.

        Raises:
            ValueError: An answer is NaN or infinite.
        """
        from greenfront.objectives.metric_scores import score

        return score(self.name, answers, labels, threshold, self.positive)


def positive_class(facts: TaskFacts, name: str | None = None) -> int:
    """Index of the class that two classes are looked for by: the named, else the rarer one.

    Of equally many training examples it is the second. For other numbers of classes it means
    nothing, and is 1.

    Raises:
        UsageError: The task has no such class, or has not two.
    """
    if name is not None and (len(facts.class_names) != 2 or name not in facts.class_names):
        known = ", ".join(map(repr, facts.class_names)) or "none: it is a number"
        raise UsageError(
            f"[objectives] positive must name one of two classes, but is {name!r}, and the "
            f"classes of task {facts.name!r} are {known}: correct it, or leave it out"
        )
    if name is not None:
        return facts.class_names.index(name)
    counts = facts.class_counts.get("train", ())
    return 0 if len(counts) == 2 and counts[0] < counts[1] else 1


def study_metric(
    facts: TaskFacts, name: MetricName | None = None, positive: str | None = None
) -> Metric:
    """The metric of a study of some data.

    Args:
        facts: Of the data.
        name: ``None``: ``"r2"`` for numbers, ``"accuracy"`` for classes.
        positive: See :func:`positive_class`.

    Raises:
        UsageError: The metric is not one for this kind of target, or there is no such class.
    """
    name = name or ("r2" if facts.regression else "accuracy")
    if _FORMS[name].of_numbers != facts.regression:
        fitting = [n for n in METRIC_NAMES if _FORMS[n].of_numbers == facts.regression]
        target = "a number" if facts.regression else f"one of {facts.classes} classes"
        raise UsageError(
            f"[objectives] metric {name!r} does not fit task {facts.name!r}, whose target is "
            f"{target}: take one of {', '.join(map(repr, fitting))}"
        )
    index = positive_class(facts, positive)
    of_errors = not _FORMS[name].maximise
    unit = facts.target.unit if of_errors and facts.target is not None else ""
    return Metric(name, _nothing(name, facts, index), unit, index)


def _nothing(name: MetricName, facts: TaskFacts, positive: int) -> float:
    """The score of a model that always gives the same answer, in closed form."""
    if facts.target is not None:
        errors = {"rmse": facts.target.constant_rmse, "mae": facts.target.constant_mae}
        return errors.get(name, 0.0)
    judged = facts.class_counts.get("evaluation")
    match name:
        case "accuracy":
            return facts.majority_fraction
        case "balanced_accuracy":
            return 1 / facts.classes
        case "f1_macro":
            # Precision is the share of the class, recall is 1; of the others F1 is 0.
            share = facts.majority_fraction
            return 2 * share / (1 + share) / facts.classes
        case "average_precision" if facts.classes == 2 and judged:
            return judged[positive] / sum(judged)
        case "average_precision":
            return 1 / facts.classes
        case _:
            return 0.5

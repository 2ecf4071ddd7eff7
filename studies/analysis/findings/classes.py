"""How well a model tells the classes apart: its confusion matrix, and what each class gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView

__all__ = ["ClassScores", "Confusion", "confusion_of"]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class.

    Attributes:
        name: Of the class.
        examples: Of it, among those that the model was judged on.
        precision: Share of the decisions for it that are right; ``None`` where there are none.
        recall: Share of its examples that are found; ``None`` where there are none.
        f1: Harmonic mean of the two; ``None`` where one of them is unknown.
    """

    name: str
    examples: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """What a classifier decided for.

    Attributes:
        matrix: Examples by true class (rows) and by the one decided for (columns).
        classes: Each class, in the order of the matrix.
    """

    matrix: tuple[tuple[int, ...], ...]
    classes: tuple[ClassScores, ...]

    @property
    def examples(self) -> int:
        """That the model was judged on."""
        return sum(map(sum, self.matrix))


def confusion_of(view: StudyView, row: ScoredTrial) -> Confusion | None:
    """The confusion matrix of a model, as it was kept with the trial or beside its file.

    Returns:
        ``None`` for a model of numbers, and where neither was kept or the cache has lost it.
    """
    decisions = row.outcome.decisions
    if view.metric.of_numbers:
        return None
    matrix = None if decisions is None else decisions.confusion
    if matrix is None:
        threshold = None if decisions is None else decisions.threshold
        matrix = _from_answers(view, row, threshold)
    if matrix is None:
        return None
    return Confusion(matrix, _scores(view.facts.task.class_names, matrix))


def _from_answers(
    view: StudyView, row: ScoredTrial, threshold: float | None
) -> tuple[tuple[int, ...], ...] | None:
    import numpy as np

    from greenfront.objectives.metric_scores import decided
    from greenfront.objectives.pipeline.answers import ANSWERS, load_answers

    # Where lineage keeps what trials leave, see greenfront.objectives.pipeline.lineage.
    kept = Path(view.file.study.cache) / "lineage" / row.outcome.artefact
    held = load_answers(kept.parent / ANSWERS)
    if held is None:
        return None
    answers, labels = held
    classes = answers.shape[1]
    given = decided(answers, threshold, view.metric.positive)
    pairs = np.bincount(labels * classes + given, minlength=classes**2).reshape(classes, classes)
    return tuple(tuple(line) for line in pairs.tolist())


def _scores(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> tuple[ClassScores, ...]:
    found = []
    for index, name in enumerate(names):
        right, there = matrix[index][index], sum(matrix[index])
        said = sum(line[index] for line in matrix)
        precision = right / said if said else None
        recall = right / there if there else None
        f1 = 2 * right / (said + there) if precision is not None and recall is not None else None
        found.append(ClassScores(name, there, precision, recall, f1))
    return tuple(found)

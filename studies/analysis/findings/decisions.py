"""What the classifiers of a study decide, in sentences: thresholds, and classes never chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenfront.studies.analysis.words.quantities import number

if TYPE_CHECKING:
    from greenfront.studies.analysis.ranking.front import ScoredTrial
    from greenfront.studies.analysis.view import StudyView

__all__ = ["decision", "has_thresholds", "never_decides"]


def decision(view: StudyView, row: ScoredTrial) -> str | None:
    """From which probability on a model of two classes says yes, and what comes of it.

    Returns:
        A sentence; ``None`` where the class of the highest probability is taken.
    """
    decisions, metric = row.outcome.decisions, view.metric
    if decisions is None or decisions.threshold is None:
        return None
    from greenfront.objectives.threshold import CRITERIA

    positive = view.facts.task.class_names[metric.positive]
    stated = isinstance(view.file.objectives.threshold, float)
    how = "as stated" if stated else f"tuned on validation for {CRITERIA[metric.name][0]}"
    told = (
        f"Trial {row.trial} decides for {positive!r} from a probability of "
        f"{number(decisions.threshold)} on ({how})"
    )
    if decisions.confusion is None:
        return f"{told}."
    wanted = decisions.confusion[metric.positive]
    found, given = wanted[metric.positive], decisions.predicted[metric.positive]
    return (
        f"{told}: it finds {found} of {sum(wanted)} and is right in {found} of the {given} times "
        f"that it says so."
    )


def has_thresholds(view: StudyView) -> bool:
    """Whether a model that is shown decides by a threshold of its own."""
    shown = [*view.front.rows, *([view.baseline] if view.baseline else [])]
    decisions = [row.outcome.decisions for row in shown]
    return any(one is not None and one.threshold is not None for one in decisions)


def never_decides(view: StudyView, row: ScoredTrial) -> str | None:
    """Which classes a model never decides for; ``None`` where there are none."""
    decisions = row.outcome.decisions
    if decisions is None or not decisions.never:
        return None
    names = [repr(view.facts.task.class_names[index]) for index in decisions.never]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"never decides for {', '.join(names[:5])}{more}"

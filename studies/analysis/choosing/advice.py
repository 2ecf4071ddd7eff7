"""Which model of a study to take, in sentences: the same in the terminal and in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenfront.studies.analysis.ranking.optimism import compared, selection_optimism
from greenfront.studies.analysis.scores.cross_validated import is_cross_validated
from greenfront.studies.analysis.scores.interval import COVERED, examples_of, score_interval
from greenfront.studies.analysis.words.choice import (
    choices,
    comparison,
    prediction_sentence,
    warnings,
)
from greenfront.studies.analysis.words.metric_words import amount, score
from greenfront.studies.analysis.words.quantities import counted

if TYPE_CHECKING:
    from greenfront.studies.analysis.ranking.front import ScoredTrial
    from greenfront.studies.analysis.view import StudyView

__all__ = ["advice"]


def advice(view: StudyView) -> list[str]:
    """Which model to take: the named ones beside the baseline, and what is not sure of them."""
    greenest = view.front.greenest
    lines = ["No model is accurate enough yet."] if greenest is None else []
    for choice in choices(view.front):
        row, told = choice.row, ""
        if view.baseline is not None:
            told = f", {comparison(row, view.baseline, view.kind, view.metric)}"
        lines.append(f"{choice.title}: trial {row.trial}{told}.")
    if greenest is not None:
        is_baseline = view.baseline is not None and view.baseline.trial == greenest.trial
        lines += warnings(view.front, beaten=is_baseline or view.best is not None)
        lines.append(prediction_sentence(greenest, view.kind))
        lines += [*_folds(view), *_how_sure(view)]
    return lines


def _how_sure(view: StudyView) -> list[str]:
    """What other examples might have said of the named models."""
    metric, named = view.metric, choices(view.front)
    found = {choice.row.trial: score_interval(choice.row.outcome, metric) for choice in named}
    told = [
        f"trial {trial} {score(metric, ends.low)} to {score(metric, ends.high)}"
        for trial, ends in found.items()
        if ends is not None
    ]
    if not told:
        return []
    examples = min(_examples(view, choice.row) for choice in named)
    return [
        f"{metric.title} on other examples than these {examples:,} ({COVERED:.0%} intervals): "
        f"{', '.join(told)}. Models were chosen by these{_luck(view)}; greenfront export looks at "
        "the test split.",
    ]


def _examples(view: StudyView, row: ScoredTrial) -> int:
    task = view.facts.task
    return row.outcome.examples or task.sizes[examples_of(row.outcome, task)]


def _folds(view: StudyView) -> list[str]:
    """Which scores are means over folds, and what those of the others are."""
    found = [row for row in view.complete if is_cross_validated(row.outcome)]
    if not found:
        return []
    most = max(len(row.outcome.folds) for row in found)
    examples = max(row.outcome.examples or 0 for row in found)
    told = f"{counted(len(found), 'model')} of {len(view.complete)} cross-validated"
    told += f" on {most} folds ({examples:,} examples): their scores are means"
    if len(found) < len(view.complete):
        told += (
            "; those of the others are modelled, what they scored on one split less what these "
            "have lost by the further ones"
        )
    return [f"{told}."]


def _luck(view: StudyView) -> str:
    found = selection_optimism(view.complete, view.metric)
    if found is None:
        return ""
    flattered = amount(view.metric, found)
    if flattered == amount(view.metric, 0.0):  # models that score alike on all resamples
        return ""
    return f", which flatters the best of {len(compared(view.complete))} by {flattered} at least"

"""Which model of a study to take, in sentences: the same in the terminal and in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenfront.studies.analysis.choice import (
    choices,
    comparison,
    prediction_sentence,
    warnings,
)

if TYPE_CHECKING:
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
        lines += warnings(view.front, beaten=view.best is not None)
        lines.append(prediction_sentence(greenest, view.kind))
    return lines

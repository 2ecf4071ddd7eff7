"""What people read of a choice between models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from greenfront.cli.options import follow_up
from greenfront.cli.table import Sheet
from greenfront.studies.analysis.choice import comparison
from greenfront.studies.analysis.metric_words import score
from greenfront.studies.analysis.quantities import energy, joules, mass, seconds, size

if TYPE_CHECKING:
    from greenfront.studies.analysis.front import ScoredTrial
    from greenfront.studies.analysis.picking import Pick
    from greenfront.studies.analysis.view import StudyView

__all__ = ["pick_text"]

HEAD = ("Energy", "CO₂", "J/Prediction", "Latency", "Size")
SPARE = ("Latency", "CO₂")


def pick_text(view: StudyView, picked: Pick, storage: str) -> RenderableType:
    """The model, why it, and for each other one what speaks against it."""
    sheet = Sheet(
        f"Models of {view.name}; energy {view.kind}, for {view.scoring.predictions:,.0f} "
        "predictions",
        ("Trial", "model", view.metric.heading, *HEAD),
        spare=SPARE,
    )
    lines: list[str] = []
    if picked.row is not None:
        row = picked.row
        sheet.add(*_cells(view, row), remark="picked", style="bold green")
        lines.append(f"Trial {row.trial}: {picked.reason}.")
        if view.baseline is not None:
            beside = comparison(row, view.baseline, view.kind, view.metric)
            lines.append(f"It is {beside}." if row.trial == view.baseline.trial else _told(beside))
        command = follow_up("export", view.name, storage, f" --trial {row.trial} -o DIR")
        lines.append(f"To take it along: {command}")
    else:
        lines.append(f"No model picked: {picked.reason}.")
    for other in picked.others:
        said = f"{'excluded' if other.excluded else 'outranked'}: {other.reason}"
        said = said if picked.row is not None or other.excluded else other.reason
        sheet.add(*_cells(view, other.row), remark=said, style="dim" if other.excluded else "")
    shown = bool(picked.others) or picked.row is not None
    return Group(*([sheet] if shown else []), Text("\n".join(lines)))


def _told(beside: str) -> str:
    return f"{beside[0].upper()}{beside[1:]}."


def _cells(view: StudyView, row: ScoredTrial) -> tuple[str, ...]:
    outcome = row.outcome
    return (
        str(row.trial),
        view.label(row),
        score(view.metric, row.score),
        energy(row.energy_kwh),
        mass(row.co2_kg),
        joules(outcome.answer.joules),
        seconds(outcome.latency_seconds),
        size(outcome.artefact_bytes),
    )

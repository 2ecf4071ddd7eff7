"""What people read of a choice between models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from greenfront.cli.sheet import Sheet
from greenfront.studies.analysis.words.choice import comparison
from greenfront.studies.analysis.words.metric_words import change, score
from greenfront.studies.analysis.words.quantities import (
    energy,
    joules,
    mass,
    percent_range,
    seconds,
    size,
)
from greenfront.studies.analysis.words.wording import sentence

if TYPE_CHECKING:
    from greenfront.cli.options import StorageOptions
    from greenfront.studies.analysis.choosing.picking import Pick
    from greenfront.studies.analysis.ranking.front import ScoredTrial
    from greenfront.studies.analysis.view import StudyView
    from greenfront.studies.export.checking import Checked
    from greenfront.studies.export.comparing import ModelComparison
    from greenfront.studies.export.record import ModelRecord

__all__ = ["check_text", "comparison_text", "pick_text"]

HEAD = ("Energy", "CO₂", "J/Prediction", "Latency", "Size")
SPARE = ("Latency", "CO₂")


def pick_text(view: StudyView, picked: Pick, storage: StorageOptions) -> RenderableType:
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
            is_baseline = row.trial == view.baseline.trial
            lines.append(sentence(f"it is {beside}" if is_baseline else beside))
        command = storage.follow_up("export", view.name, f" --trial {row.trial} -o DIR")
        lines.append(f"To take it along: {command}")
    else:
        lines.append(f"No model picked: {picked.reason}.")
    for other in picked.others:
        said = f"{'excluded' if other.excluded else 'outranked'}: {other.reason}"
        said = said if picked.row is not None or other.excluded else other.reason
        sheet.add(*_cells(view, other.row), remark=said, style="dim" if other.excluded else "")
    shown = bool(picked.others) or picked.row is not None
    return Group(*([sheet] if shown else []), Text("\n".join(lines)))


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


_UNITS: Mapping[str, Callable[[float | None], str]] = {
    "J": joules,
    "kWh": energy,
    "kg": mass,
    "s": seconds,
    "B": size,
}


def comparison_text(found: ModelComparison) -> RenderableType:
    """Two models side by side, the second as a share of the first."""
    first, second = found.first, found.second
    sheet = Sheet(
        f"First: {_named(first)}. Second: {_named(second)}.",
        ("what", "First", "Second", "Second/First"),
    )
    metric = first.metric
    if found.scores is not None and found.difference is not None:
        told, apart = [score(metric, each.value) for each in found.scores], found.difference
        title = f"{metric.title} on {found.split}"
        sheet.add(title, *told, change(metric, apart.value, apart.low, apart.high))
    predictions = f"{first.scoring.predictions:,.0f} predictions"
    for ratio in found.ratios:
        name = ratio.name.replace("of both", f"of making it and {predictions}")
        shown = _UNITS[ratio.unit]
        share = percent_range(ratio.ratio, ratio.low, ratio.high)
        sheet.add(name, shown(ratio.first), shown(ratio.second), share)
    lines = [f"{metric.title}: {found.verdict}."]
    lines += [f"First: {first.model.description}.", f"Second: {second.model.description}."]
    lines += [f"{remark}." for remark in found.remarks]
    return Group(sheet, Text("\n".join(lines)))


def check_text(found: Checked) -> RenderableType:
    """What was asked of a model, and what was found."""
    sheet = Sheet(_named(found.record), ("Kept", "asked", "limit", "found"))
    for finding in found.findings:
        style = "green" if finding.passed else "bold red"
        kept = "yes" if finding.passed else "NO"
        sheet.add(kept, finding.asked, finding.limit, finding.found, style=style)
    reading = found.cost.reading
    lines = [
        f"Measured here: {joules(reading.joules)} a prediction ({reading.kind}: {reading.source}), "
        f"{seconds(found.cost.latency_seconds)}."
    ]
    if found.other_cost is not None:
        usual = found.other_cost
        lines.append(
            f"The other: {joules(usual.reading.joules)} a prediction, "
            f"{seconds(usual.latency_seconds)}."
        )
    if found.made_up:
        lines.append("On made-up inputs; --input FILE takes real ones.")
    lines += map(sentence, found.broken)
    return Group(sheet, Text("\n".join(lines)))


def _named(record: ModelRecord) -> str:
    return f"{record.study}, trial {record.model.trial}"

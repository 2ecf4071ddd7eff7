"""Tables for people; the same facts as the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from greenfront.studies.quantities import count, energy, joules, mass, percent, seconds, size
from greenfront.studies.report.wording import kind_of_readings

if TYPE_CHECKING:
    from greenfront.search.forecast import Forecast
    from greenfront.search.session import PeakMemory
    from greenfront.studies.front import FrontRow
    from greenfront.studies.ledger import Spent
    from greenfront.studies.listing import StudyEntry
    from greenfront.studies.view import StudyView

__all__ = ["forecast_text", "front_table", "ledger_table", "run_summary", "studies_table"]


def _table(title: str, *headings: str) -> Table:
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None)
    for heading in headings:
        # Numbers to the right, words to the left: a heading in capitals marks a number.
        words = heading.islower()
        table.add_column(
            heading, justify="left" if words else "right", overflow="fold", no_wrap=not words
        )
    return table


def front_table(view: StudyView) -> RenderableType:
    """The ranked front, with the baseline it is measured against."""
    table = _table(
        f"Pareto front of {view.name}, ranked by Green Score (accuracy in % per kg CO₂); "
        f"energy {kind_of_readings(view)}, for {view.file.objectives.predictions:,.0f} predictions",
        "#",
        "Trial",
        "model",
        "Accuracy",
        "Energy",
        "CO₂",
        "Green Score",
        "J/Prediction",
        "Latency",
        "Size",
    )
    for row in view.front.rows:
        table.add_row(str(row.rank), *_cells(row), style="" if row.eligible else "dim")
        if row.objection:
            table.add_row("", "", Text(f"not eligible: {row.objection}"), style="dim italic")
    if view.baseline is not None:
        label = "base"
        table.add_section()
        table.add_row(label, *_cells(view.baseline), style="cyan")
    if not view.front.rows:
        return Text(f"Study {view.name} has no complete trial yet.")
    return table


def _cells(row: FrontRow) -> tuple[str | Text, ...]:
    outcome = row.outcome
    return (
        str(row.trial),
        Text(row.candidate.describe()),
        percent(row.accuracy),
        energy(row.energy_kwh),
        mass(row.co2_kg),
        count(row.green_score),
        joules(outcome.inference.joules),
        seconds(outcome.latency_seconds),
        size(outcome.artefact_bytes),
    )


def run_summary(view: StudyView, reason: str, peak: PeakMemory) -> RenderableType:
    """What the search has found and what it has cost."""
    spent = view.spent
    lines = [
        f"Ended: {reason}.",
        f"Spent {energy(spent.kwh)} (between {energy(spent.low_kwh)} and "
        f"{energy(spent.high_kwh)}), {mass(spent.co2_kg)} CO₂; "
        f"memory at most {size(peak.supervisor)} here and "
        f"{size(peak.evaluator)} in an evaluator.",
    ]
    best, baseline = view.front.best, view.baseline
    if best and baseline:
        points = 100 * (best.accuracy - baseline.accuracy)
        mine, usual = best.outcome.inference.joules, baseline.outcome.inference.joules
        ratio = f"{mine / usual:.0%}" if mine is not None and usual else "an unknown share"
        lines.append(
            f"Best: trial {best.trial}, {points:+.1f} points of accuracy against the untouched "
            f"baseline (trial {baseline.trial}) at {ratio} of its inference energy and "
            f"{best.outcome.artefact_bytes / baseline.outcome.artefact_bytes:.0%} of its size."
        )
        even = view.break_even_predictions
        lines.append(
            f"The search has paid for itself after {count(even)} predictions."
            if even is not None
            else "The best model predicts no cheaper than the baseline: it pays nothing back."
        )
    lines.append(f"See it: greenfront report {view.name} -o report.html")
    return Text("\n".join(lines))


def studies_table(entries: Sequence[StudyEntry]) -> RenderableType:
    """The studies of a storage."""
    table = _table("Studies", "study", "task", "Trials", "Running", "Spent", "CO₂")
    for entry in entries:
        of = "" if entry.trials is None else f"/{entry.trials}"
        table.add_row(
            Text(entry.name),
            Text(entry.task or "–"),
            f"{entry.finished}{of}",
            str(entry.running_processes),
            energy(entry.kwh),
            mass(entry.co2_kg),
        )
    return table if entries else Text("No studies yet: start one with greenfront run study.toml")


def ledger_table(name: str, by: str, total: Spent, parts: Mapping[str, Spent]) -> RenderableType:
    """What a search has spent, in parts and in all."""
    table = _table(
        f"What the search {name} has spent, by {by}",
        by,
        "Energy",
        "Low",
        "High",
        "CO₂",
        "CPU Time",
        "Share",
    )
    for part, spent in [*parts.items(), ("in all", total)]:
        if part == "in all":
            table.add_section()
        table.add_row(
            Text(part),
            energy(spent.kwh),
            energy(spent.low_kwh),
            energy(spent.high_kwh),
            mass(spent.co2_kg),
            seconds(spent.cpu_seconds),
            percent(spent.kwh / total.kwh) if total.kwh else "–",
        )
    if not total.unmetered:
        return table
    return Group(table, Text(f"{total.unmetered} entries have no reading and count as nothing."))


def forecast_text(found: Forecast) -> RenderableType:
    """A forecast: what it rests on, what it says, what one should know."""
    table = _table(
        f"Plan of {found.study} ({found.task})",
        "candidate",
        "Parameters",
        "FLOPs",
        "J/Epoch",
        "J/Prediction",
        "Latency",
        "Size",
        "Trial",
    )
    for sample in found.samples:
        sizing = sample.sizing
        table.add_row(
            Text(sample.candidate + (" (baseline)" if sample.baseline else "")),
            count(sizing.parameters),
            count(sizing.flops),
            joules(sample.epoch.joules),
            joules(sizing.inference.joules),
            seconds(sizing.latency_seconds),
            size(sizing.artefact_bytes),
            seconds(sample.trial_seconds),
        )
    space = "a continuum" if found.space_size is None else f"{found.space_size:,} candidates"
    lines = [f"Space: {space} over {len(found.knobs)} knobs."]
    if found.trials is not None:
        lines.append(
            f"{found.trials} trials: at most {energy(found.kwh)} {found.kind} (between "
            f"{energy(found.low_kwh)} and {energy(found.high_kwh)}), {mass(found.co2_kg)} CO₂, "
            f"{seconds(60 * (found.minutes or 0))}."
        )
    lines += [remark[0].upper() + remark[1:] + "." for remark in found.remarks]
    return Group(table, Text("\n" + "\n".join(lines)))

"""Tables for people; the same facts as the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from greenfront.studies.quantities import count, energy, joules, mass, percent, seconds, size
from greenfront.studies.report.wording import kind_of_readings
from greenfront.studies.timing import timing_lines

if TYPE_CHECKING:
    from greenfront.objectives.metering.crosscheck import CrossCheck
    from greenfront.objectives.metering.survey import ComponentStatus
    from greenfront.search.forecast import Forecast
    from greenfront.search.session import PeakMemory
    from greenfront.studies.front import FrontRow
    from greenfront.studies.ledger import Spent
    from greenfront.studies.listing import StudyEntry
    from greenfront.studies.timing import Timing
    from greenfront.studies.view import StudyView
    from greenfront.studies.whatif import Comparison

__all__ = [
    "forecast_text",
    "front_table",
    "ledger_table",
    "run_summary",
    "studies_table",
    "whatif_table",
]


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
        "On Front",
    )
    for row in view.front.rows:
        rank = f"≈{row.rank}" if row.tied else str(row.rank)
        sure = "–" if row.probability is None else f"{row.probability:.0%}"
        table.add_row(rank, *_cells(row), sure, style="" if row.eligible else "dim")
        if row.objection:
            table.add_row("", "", Text(f"not eligible: {row.objection}"), style="dim italic")
    if view.baseline is not None:
        label = "base"
        table.add_section()
        table.add_row(label, *_cells(view.baseline), "", style="cyan")
    if not view.front.rows:
        return Text(f"Study {view.name} has no complete trial yet.")
    if not any(row.tied for row in view.front.rows):
        return table
    return Group(table, Text("≈: its Green Score cannot be told from that of the row above."))


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


def whatif_table(found: Comparison) -> RenderableType:
    """The front under a scenario, with the ranks that its members had."""
    view, carbon = found.after, found.scoring.carbon
    table = _table(
        f"Front of {view.name} if used for {found.scoring.predictions:,.0f} predictions at "
        f"{carbon.intensity.g_per_kwh:.4g} g/kWh (PUE {carbon.pue:g}); "
        f"energy {kind_of_readings(view)}",
        "#",
        "Was",
        "Trial",
        "model",
        "Accuracy",
        "Energy",
        "CO₂",
        "Green Score",
    )
    for row in view.front.rows:
        before = found.rank_before(row)
        cells = _cells(row)
        table.add_row(
            str(row.rank),
            "–" if before is None else str(before),
            *cells[:6],
            style="" if row.eligible else "dim",
        )
    flips = found.flips()
    lines = [f"Electricity: {carbon.intensity.region}, {carbon.intensity.source}."]
    lines += [flip[0].upper() + flip[1:] + "." for flip in flips]
    if not flips:
        lines.append("No choice changes.")
    even = view.break_even_predictions
    if even is not None:
        lines.append(f"The search has paid for itself after {count(even)} predictions.")
    return Group(table, Text("\n".join(lines)))


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


def ledger_table(
    name: str,
    by: str,
    total: Spent,
    parts: Mapping[str, Spent],
    lost_kwh: float,
    break_even: float | None,
    times: Timing,
) -> RenderableType:
    """What a search has spent, in parts and in all, whether it is worth it, and when it ran."""
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
    share = f" ({percent(lost_kwh / total.kwh)})" if total.kwh else ""
    lines = [f"Trials without a result have cost {energy(lost_kwh)}{share} of it."]
    if break_even is not None:
        lines.append(f"The search has paid for itself after {count(break_even)} predictions.")
    if total.unmetered:
        lines.append(f"{total.unmetered} entries have no reading and count as nothing.")
    lines += timing_lines(times)
    return Group(table, Text("\n".join(lines)))


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


_STYLES = {"measured": "green", "modelled": "yellow"}
_COMPONENTS = {"cpu": "CPU", "gpu": "GPU", "dram": "Memory"}


def instruments_text(statuses: Sequence[ComponentStatus]) -> RenderableType:
    """What meters each component, in sentences, and what stands beside it."""
    said = Text()
    for component, name in _COMPONENTS.items():
        mine = [status for status in statuses if status.component == component]
        chosen = next((status for status in mine if status.chosen), None)
        kind = "not metered" if chosen is None else chosen.kind
        said.append(f"{name}: ", style="bold")
        said.append(kind, style=_STYLES.get(kind, "red" if component == "cpu" else "dim"))
        said.append("\n")
        for status in sorted(mine, key=lambda status: not status.chosen):
            said.append(f"  {'→' if status.chosen else ' '} {status.name}: ")
            said.append(_instrument(status) + "\n", style="" if status.chosen else "dim")
    said.rstrip()
    return said


def _instrument(status: ComponentStatus) -> str:
    if status.source is None:
        return f"{status.missing}. Remedy: {status.remedy}."
    told = [f"{status.kind} by {status.source}"]
    if status.resolution_seconds:
        told.append(f"tells windows from {seconds(status.resolution_seconds)} on")
    if status.kind == "modelled":
        told.append("needs no idle baseline")
    elif status.idle_watts is not None:
        told.append(f"the idle machine draws {status.idle_watts:.3g} W")
    if status.remark:
        told.append(status.remark)
    return "; ".join(told) + "."


def comparison_text(found: CrossCheck) -> RenderableType:
    """Two readings of the same work."""
    mine, theirs = found.ours, found.codecarbon
    ratio = "unknown" if found.ratio is None else f"{found.ratio:.2f}"
    verdict = "their bands overlap" if found.agree else "their bands do not overlap"
    return Text(
        f"Cross-check, {mine.cpu_seconds:.1f} CPU-seconds of work: {joules(mine.joules)} by the "
        f"instrument in use, {joules(theirs.joules)} by {theirs.source}; ratio {ratio}, {verdict}."
    )


def facts_table(facts: Mapping[str, str]) -> RenderableType:
    """What else is found here."""
    table = Table(title="Here", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("what")
    table.add_column("found", overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(value))
    return table

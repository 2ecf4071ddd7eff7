"""What people read of studies: their front, ledger and scenarios; the same facts as the JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from greenfront.cli.sheet import Sheet
from greenfront.studies.analysis.choosing.advice import advice
from greenfront.studies.analysis.findings.decisions import decision, has_thresholds, never_decides
from greenfront.studies.analysis.history.chains import chain_of
from greenfront.studies.analysis.machine.readings import machine_sentences
from greenfront.studies.analysis.search_cost.early_stops import early_stops_lines
from greenfront.studies.analysis.search_cost.forecast import forecast_lines
from greenfront.studies.analysis.search_cost.phases import PHASES
from greenfront.studies.analysis.search_cost.warm_start import warm_lines
from greenfront.studies.analysis.words.choice import choices
from greenfront.studies.analysis.words.metric_words import score
from greenfront.studies.analysis.words.quantities import (
    chance,
    count,
    energy,
    euro,
    joules,
    mass,
    number,
    percent,
    seconds,
    size,
)
from greenfront.studies.analysis.words.wording import (
    break_even_sentence,
    leak_sentence,
    named_trials,
    no_network_sentence,
    sentence,
)

if TYPE_CHECKING:
    from greenfront.objectives.outcome import Outcome
    from greenfront.search.session import PeakMemory
    from greenfront.studies.analysis.choosing.whatif import Comparison
    from greenfront.studies.analysis.listing import StudyEntry
    from greenfront.studies.analysis.ranked import RankedStudy
    from greenfront.studies.analysis.ranking.front import ScoredTrial
    from greenfront.studies.analysis.search_cost.spending import Spending
    from greenfront.studies.analysis.view import StudyView

__all__ = [
    "front_table",
    "ledger_table",
    "run_summary",
    "studies_table",
    "whatif_table",
]


FRONT = ("Energy", "CO₂", "Green Score", "J/Prediction")

NOTHING_EMITTED = (
    "Nothing is emitted: every Green Score is infinite, and models stand in the order of their "
    "energy."
)

DETAILS = ("J/Preproc.", "Latency", "Size", "In Drop", "On Front")
"""What a narrow terminal shows on a line of its own."""

TIE = "≈: its Green Score cannot be told from that of the row above."


def front_table(view: StudyView) -> RenderableType:
    """The ranked front, with the baseline it is measured against."""
    if not view.front.rows:
        return _nothing_yet(view)
    sheet = Sheet(
        f"Pareto front of {view.name}, ranked by Green Score ({view.metric.counted} per kg CO₂); "
        f"energy {view.kind}, for {view.scoring.predictions:,.0f} predictions",
        ("#", "Trial", "model", view.metric.heading, *FRONT, *_threshold_head(view), *DETAILS),
        spare=DETAILS,
    )
    for row in view.front.rows:
        sure = (chance(row.within_drop), chance(row.probability))
        details = (*_threshold(view, row), *_details(row.outcome))
        _add(view, sheet, row, _rank(row), *_cells(view, row), *details, *sure)
    if view.baseline is not None:
        row = view.baseline
        details = (*_threshold(view, row), *_details(row.outcome))
        # A baseline is not ranked, but it may have learnt nothing.
        against = None if view.metric.has_learnt(row.score) else row.objection
        remark = "; ".join(filter(None, [never_decides(view, row), against]))
        cells = ("base", *_cells(view, row), *details, "", "")
        sheet.add(*cells, remark=remark or None, style="cyan")
    table = Group(_with_ties(sheet, view), _choices(view))
    first = [Text(view.lost_baseline, style="bold red")] if view.lost_baseline else []
    if (leak := leak_sentence(view.facts.task)) is not None:
        first.append(Text(leak, style="yellow"))
    found = view.no_network
    if found is not None:
        told = no_network_sentence(found, view.scoring.predictions, view.kind, view.metric)
        first.append(Text(told))
    return Group(*first, table)


def _details(outcome: Outcome) -> tuple[str, ...]:
    """Preprocessing, latency and size."""
    preprocessing = None if outcome.preprocessing is None else outcome.preprocessing.joules
    return (
        joules(preprocessing),
        seconds(outcome.latency_seconds),
        size(outcome.artefact_bytes),
    )


def _choices(view: StudyView) -> RenderableType:
    """The named models beside the baseline, and what they decide."""
    lines = [] if view.metric.name == "accuracy" else [f"Judged by {view.metric.told}."]
    lines += machine_sentences(view)
    lines += advice(view) + early_stops_lines(view)
    decided = (decision(view, choice.row) for choice in choices(view.front))
    lines += [sentence for sentence in decided if sentence is not None]
    lines += _on_target(view) + _unfinished(view)
    return Text("\n".join(lines))


def _unfinished(view: StudyView) -> list[str]:
    """What is not over yet; empty where nothing is running and nothing waits."""
    running, waiting = view.counts["running"], view.counts["requeued"]
    told = [f"Trials that are running: {running}."] if running else []
    if waiting:
        told.append(
            f"Trials that were interrupted and wait: {waiting}; greenfront resume {view.name} "
            "takes them up."
        )
    return told


def _on_target(view: StudyView) -> list[str]:
    """Whether the targets are reached, and how the front came about where others led to it."""
    if view.goal is None:
        return []
    numbers = [row.trial for row in view.on_target]
    reached = named_trials(numbers) if numbers else "no model yet"
    links = [link for row in view.front.rows for link in chain_of(row.trial, view.links)]
    told = [link.sentence for link in dict.fromkeys(links)]
    return [f"Targets: {view.goal.told}; reached by {reached}.", *told]


def _pays(study: RankedStudy) -> str:
    return break_even_sentence(study.break_even, study.scoring.predictions, study.kind)


def _nothing_yet(view: StudyView) -> RenderableType:
    return Text(f"Study {view.name} has no complete trial yet.")


def _rank(row: ScoredTrial) -> str:
    return f"≈{row.rank}" if row.tied else str(row.rank)


def _cells(view: StudyView, row: ScoredTrial) -> tuple[str, ...]:
    names = ", ".join(view.front.names(row)) if row.rank else ""
    return (
        str(row.trial),
        view.label(row) + (f" ← {names}" if names else ""),
        score(view.metric, row.score),
        energy(row.energy_kwh),
        mass(row.co2_kg),
        count(row.green_score),
        joules(row.outcome.answer.joules),
    )


def _add(view: StudyView, sheet: Sheet, row: ScoredTrial, *cells: str) -> None:
    """A member of the front, with what speaks against it."""
    against = None if row.objection is None else f"not eligible: {row.objection}"
    remark = "; ".join(filter(None, [row.made_of, against, never_decides(view, row)])) or None
    sheet.add(*cells, remark=remark, style="" if row.eligible else "dim")


def _threshold_head(view: StudyView) -> tuple[str, ...]:
    return ("Threshold",) if has_thresholds(view) else ()


def _threshold(view: StudyView, row: ScoredTrial) -> tuple[str, ...]:
    if not has_thresholds(view):
        return ()
    decisions = row.outcome.decisions
    return (number(None if decisions is None else decisions.threshold),)


def _with_ties(sheet: Sheet, view: StudyView) -> RenderableType:
    told = []
    if not any(row.co2_kg for row in view.front.rows):
        told.append(NOTHING_EMITTED)
    elif any(row.tied for row in view.front.rows):
        told.append(TIE)
    return Group(sheet, *map(Text, told))


def run_summary(view: StudyView, reason: str, peak: PeakMemory) -> RenderableType:
    """What the search has found and what it has cost."""
    spent, kind = view.spent, view.kind
    kwh, low, high = spent.shown_kwh
    memory = f"memory at most {size(peak.supervisor)} here"
    memory += f" and {size(peak.evaluator)} in an evaluator" if peak.evaluator else ""
    lines = [
        f"Ended: {reason}.",
        f"Spent {energy(kwh)} ({kind}, between {energy(low)} and {energy(high)}), "
        f"{mass(spent.co2_kg)} CO₂; {memory}.",
    ]
    if view.hypervolume is not None and view.front.rows:
        often = max(row.outcome.measurements for row in view.front.rows)
        by = f" (medians of up to {often} measurements)" if often > 1 else ""
        lines.append(f"Hypervolume of the front: {view.hypervolume:.4f}{by}.")
        if not view.hypervolume:
            lines.append(
                "It counts models that are cheaper than the dearest baseline and have learnt "
                "something: none is."
            )
    lines += [*warm_lines(view), *forecast_lines(view), _pays(view)]
    return Text("\n".join(lines))


def whatif_table(found: Comparison) -> RenderableType:
    """The front under a scenario, with the ranks that its members had."""
    view, carbon = found.after, found.after.scoring.carbon
    if not view.front.rows:
        return _nothing_yet(view)
    sheet = Sheet(
        f"Front of {view.name} if used for {view.scoring.predictions:,.0f} predictions at "
        f"{carbon.intensity.g_per_kwh:.4g} g/kWh (PUE {carbon.pue:g}); energy {view.kind}",
        ("#", "Was", "Trial", "model", view.metric.heading, *FRONT[:-1]),
    )
    for row in view.front.rows:
        before = found.rank_before(row)
        was = ("–" if before is None else str(before),)
        _add(view, sheet, row, _rank(row), *was, *_cells(view, row)[:-1])
    flips = found.flips()
    lines = [f"Electricity: {carbon.intensity.region}, {carbon.intensity.source}."]
    lines += map(sentence, flips)
    if not flips:
        lines.append("No choice changes.")
    lines.append(_pays(view))
    year = found.year
    if year is not None:
        life = found.operation or view.file.operation
        lines.append(
            f"A year of the greenest, {year.predictions:,.0f} predictions: {energy(year.kwh)}, "
            f"{mass(year.co2_kg)} CO₂, {euro(year.euro)} of electricity at "
            f"€{life.euro_per_kwh:g} per kWh ({view.kind})."
        )
    return Group(_with_ties(sheet, view), Text("\n".join(lines)))


def studies_table(entries: Sequence[StudyEntry]) -> RenderableType:
    """The studies of a storage."""
    sheet = Sheet("Studies", ("study", "task", "Trials", "Running", "Spent", "Kind", "CO₂"))
    for entry in entries:
        of = "" if entry.trials is None else f"/{entry.trials}"
        sheet.add(
            entry.name,
            entry.task or "–",
            f"{entry.finished}{of}",
            str(entry.running_processes),
            energy(entry.kwh),
            entry.kind,
            mass(entry.co2_kg),
        )
    return sheet if entries else Text("No studies yet: start one with greenfront run study.toml")


def ledger_table(found: Spending) -> RenderableType:
    """What a search has spent, in parts and in all, whether it is worth it, and when it ran."""
    from greenfront.studies.analysis.history.timing import timing_lines

    total, lost_kwh = found.total, found.without_result_kwh
    told = ("what it is",) if found.by == "phase" else ()
    sheet = Sheet(
        f"What the search {found.study} has spent, by {found.by}; energy {found.kind}",
        (found.by, "Energy", "Low", "High", "CO₂", "CPU Time", "Share", *told),
    )
    for part, spent in [*found.parts.items(), ("in all", total)]:
        # Where something could not be metered it was at least so much.
        least = "≥ " if spent.unmetered and not spent.unknown else ""
        sheet.add(
            part,
            *(least + energy(kwh) for kwh in spent.shown_kwh),
            mass(spent.co2_kg),
            seconds(spent.cpu_seconds),
            percent(spent.kwh / total.kwh) if total.kwh and not spent.unknown else "–",
            *("" if found.ranked is None else PHASES.get(part, "") for _ in told),
        )
    share = f" ({percent(lost_kwh / total.kwh)})" if total.kwh else ""
    lines = [f"Trials without a result have cost {energy(lost_kwh)}{share} of it."]
    if (shown := found.ranked) is not None:
        lines += [*early_stops_lines(shown), *forecast_lines(shown), _pays(shown)]
    if total.unmetered:
        lines.append(f"{total.unmetered} entries have no reading and count as nothing.")
    lines += timing_lines(found.times)
    return Group(sheet, Text("\n".join(lines)))

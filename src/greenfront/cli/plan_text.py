"""A plan in the terminal: what was tried, what is expected, and what the columns are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from greenfront.cli.sheet import Sheet
from greenfront.studies.analysis.search_cost.forecast import forecast_words
from greenfront.studies.analysis.words.quantities import count, joules, mass, seconds, size
from greenfront.studies.analysis.words.wording import sentence

if TYPE_CHECKING:
    from greenfront.objectives.tasks.tables.schema import Schema
    from greenfront.search.planning.plan import Sample, StudyPlan

__all__ = ["columns_table", "plan_text"]


def plan_text(plan: StudyPlan) -> RenderableType:
    """A plan: its samples, its estimates and its remarks."""
    sheet = Sheet(
        f"Plan of {plan.study} ({plan.task})",
        (
            "candidate",
            "Parameters",
            "FLOPs",
            "J/Epoch",
            "J/Model",
            "Latency",
            "Size",
            "Trial",
        ),
    )
    for sample in plan.samples:
        sizing = sample.sizing
        sheet.add(
            sample.candidate + _role(sample),
            count(sizing.parameters),
            count(sizing.flops),
            joules(sample.epoch.joules),
            joules(sizing.inference.joules),
            seconds(sizing.latency_seconds),
            size(sizing.artefact_bytes),
            seconds(sample.trial_seconds),
        )
    space = "a continuum" if plan.space_size is None else f"{plan.space_size:,} candidates"
    lines = [f"Space: {space} over {len(plan.knobs)} knobs."]
    forecast = plan.forecast
    if forecast is not None:
        told = forecast_words(forecast)
        if forecast.kwh is not None and plan.kwh and plan.co2_kg is not None:
            told += f"; {mass(plan.co2_kg / plan.kwh * forecast.kwh.likely)} CO₂"
        lines.append(f"{forecast.trials} trials (modelled, {forecast.basis}): {told}.")
    lines += map(sentence, (*plan.notes, *plan.remarks))
    columns = [] if plan.schema is None else [columns_table(plan.schema), Text()]
    return Group(*columns, sheet, Text("\n" + "\n".join(lines)))


def columns_table(schema: Schema) -> RenderableType:
    """What the columns of a table were taken for, and what is done with each."""
    used = sum(column.used for column in schema.columns)
    sheet = Sheet(
        f"{schema.rows:,} rows; {used} of {len(schema.columns)} columns are features",
        ("column", "taken for", "Missing", "what is done with it"),
    )
    for names, column in schema.grouped():
        missing = f"{column.missing:,}" if column.missing else ""
        done = f"{column.treatment}: {column.warning}" if column.warning else column.treatment
        style = "yellow" if column.warning else ""
        sheet.add(names, column.kind, missing, done, style=style)
    return sheet


def _role(sample: Sample) -> str:
    if sample.reference:
        return " (reference; an epoch is all of it)"
    return " (baseline)" if sample.baseline else ""

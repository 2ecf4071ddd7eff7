"""How the search went: its progress, its energy, its electricity, its knobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

import plotly.graph_objects as go

from greenfront.objectives.carbon.traces import as_instant
from greenfront.studies.analysis.findings.importance import Importance
from greenfront.studies.analysis.history.progress import ProgressPoint
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.report.theme import BLUE, GREEN, GREY, INK, LABELLED, ORANGE, SKY, layout
from greenfront.studies.store.ledger import Spent

__all__ = ["energy_by_phase", "intensity_over_time", "knobs", "progress", "varied"]

LEAST_SHARE = 0.01
"""Phases of a smaller share of the energy are one bar."""

MOST_KNOBS = 10

CONSTANT = 1e-6


def progress(found: ReportData) -> go.Figure:
    """How far the search had come for the energy spent, beside a blind one where there is one."""
    view, beside = found.view, found.random_search
    curves = [("This search", view.steps, BLUE, "solid")]
    if beside is not None:
        curves.append((f"Random: {beside.study}", beside.steps, ORANGE, "dash"))
    scale = quantities.energy_scale([step.kwh_spent for _, steps, _, _ in curves for step in steps])
    figure = go.Figure(layout=layout(340))
    for name, steps, colour, dash in curves:
        figure.add_scatter(
            name=escape(name, quote=False),
            x=[step.kwh_spent * scale.factor for step in steps],
            y=[step.hypervolume for step in steps],
            mode="lines+markers",
            line={"shape": "hv", "color": colour, "width": 2, "dash": dash},
            marker={"size": 4},
            # Numbers of another study's trials are not those of this one.
            customdata=[step.number for step in steps] if steps is view.steps else None,
            hovertext=[_step(step) for step in steps],
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=beside is not None,
        )
    figure.update_layout(
        xaxis={
            "title": {"text": f"Spent ({scale.unit}, {view.kind})"},
            "rangemode": "tozero",
        },
        yaxis={"title": {"text": "Hypervolume (share)"}, "rangemode": "tozero"},
    )
    return figure


def _step(step: ProgressPoint) -> str:
    return (
        f"Trial {step.number}, {step.finished} finished<br>Hypervolume {step.hypervolume:.3f}<br>"
        f"Spent {quantities.energy(step.kwh_spent)}"
    )


def energy_by_phase(view: StudyView) -> go.Figure:
    """Where the energy of the whole search went, with its plausible range."""
    parts = _worth_a_bar(view.spent_by_phase)
    scale = quantities.energy_scale([spent[0] for spent in parts.values()])
    names = [escape(phase, quote=False) for phase in parts]
    figure = go.Figure(layout=layout(96 + 30 * len(parts)))
    ends = [max(kwh, high) * scale.factor for kwh, _, high in parts.values()]
    figure.add_bar(
        orientation="h",
        x=[kwh * scale.factor for kwh, _, _ in parts.values()],
        y=names,
        marker={"color": SKY, "line": {"width": 0}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, high - kwh) * scale.factor for kwh, _, high in parts.values()],
            "arrayminus": [max(0.0, kwh - low) * scale.factor for kwh, low, _ in parts.values()],
            "color": GREY,
            "thickness": 1.2,
            "width": 3,
        },
        hovertext=[
            f"{quantities.energy(kwh)}, between {quantities.energy(low)} and "
            f"{quantities.energy(high)}"
            for kwh, low, high in parts.values()
        ],
        hovertemplate="%{y}: %{hovertext}<extra></extra>",
        showlegend=False,
    )
    for name, (kwh, _, _), end in zip(names, parts.values(), ends, strict=True):
        figure.add_annotation(
            x=end, y=name, text=quantities.energy(kwh), xanchor="left", xshift=8, showarrow=False
        )
    figure.update_layout(
        bargap=0.4,
        margin=LABELLED,
        xaxis={
            "title": {"text": f"Energy ({scale.unit}, {view.kind})"},
            "range": [0, max(ends, default=1.0) or 1.0],
        },
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False, "ticks": ""},
    )
    return figure


def _worth_a_bar(parts: dict[str, Spent]) -> dict[str, tuple[float, float, float]]:
    """Best estimate, low and high end by phase; the small ones together."""
    whole = sum(spent.kwh for spent in parts.values())
    small = [name for name, spent in parts.items() if spent.kwh < LEAST_SHARE * whole]
    small = small if len(small) > 1 else []
    kept = {name: spent for name, spent in parts.items() if name not in small}
    bars = {name: (spent.kwh, spent.low_kwh, spent.high_kwh) for name, spent in kept.items()}
    if small:
        rest = [parts[name] for name in small]
        bars[f"{len(small)} smaller ones"] = (
            sum(spent.kwh for spent in rest),
            sum(spent.low_kwh for spent in rest),
            sum(spent.high_kwh for spent in rest),
        )
    return bars


def varied(found: ReportData) -> bool:
    """Whether trials ran on electricity of different intensities."""
    grams = [each.g_per_kwh for each in found.electricity]
    return bool(grams) and max(grams) - min(grams) > CONSTANT * max(grams)


def intensity_over_time(found: ReportData) -> go.Figure:
    """The carbon intensity that each trial ran at, from its begin to its end."""
    figure = go.Figure(layout=layout(320))
    x: list[datetime | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for each in found.electricity:
        x += [as_instant(each.started_at), as_instant(each.ended_at), None]
        y += [each.g_per_kwh, each.g_per_kwh, None]
        numbers += [each.number, each.number, None]
    figure.add_scatter(
        name="Trials",
        x=x,
        y=y,
        mode="lines+markers",
        line={"color": BLUE, "width": 4},
        marker={"size": 6, "color": BLUE},
        customdata=numbers,
        hovertemplate="Trial %{customdata}<br>%{y:.4g} g/kWh at %{x|%Y-%m-%d %H:%M}<extra></extra>",
        showlegend=False,
    )
    for wait in () if found.view.times is None else found.view.times.waits:
        if wait.clock_ended_at is not None:
            figure.add_vrect(
                x0=as_instant(wait.clock_started_at),
                x1=as_instant(wait.clock_ended_at),
                fillcolor=GREY,
                opacity=0.18,
                line_width=0,
            )
    figure.update_layout(
        xaxis={"title": {"text": "Time (UTC)"}, "type": "date"},
        yaxis={"title": {"text": "Intensity (g CO₂ per kWh)"}, "rangemode": "tozero"},
    )
    return figure


def knobs(found: Importance) -> go.Figure:
    """Share of each knob in what a forest explains, the most important above."""
    told = found.telling
    names = _most_important([target.shares for target in told])
    figure = go.Figure(layout=layout(110 + 34 * len(names)))
    for target, colour in zip(told, (BLUE, GREEN), strict=False):
        figure.add_bar(
            name=target.name.capitalize(),
            orientation="h",
            x=[100 * target.shares.get(name, 0.0) for name in names],
            y=[escape(_short(name), quote=False) for name in names],
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate=f"%{{y}}: %{{x:.0f}} % of the {target.name}’s forest<extra></extra>",
        )
    figure.update_layout(
        barmode="group",
        bargap=0.35,
        xaxis={"title": {"text": "Share (%)"}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False, "ticks": ""},
        font={"color": INK},
    )
    return figure


def _most_important(shares: Sequence[dict[str, float]]) -> list[str]:
    best: dict[str, float] = {}
    for one in shares:
        for name, share in one.items():
            best[name] = max(best.get(name, 0.0), share)
    return sorted(best, key=lambda name: -best[name])[:MOST_KNOBS]


def _short(name: str) -> str:
    """A setting as its section and key; the shape of a network by its knob alone."""
    return name.removeprefix("architecture.shape.").replace("architecture.", "").replace("_", " ")

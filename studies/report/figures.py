"""The figures of a study: pure functions from what was stored to Plotly figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from greenfront.studies.analysis import quantities
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.report.focus import frames
from greenfront.studies.report.points import (
    BLUE,
    GREY,
    SKY,
    Axis,
    Group,
    co2_axis,
    energy_axis,
    hover,
    score_axis,
)

__all__ = [
    "co2_over_energy",
    "energy_by_phase",
    "front_in_space",
    "green_scores",
    "hypervolume_over_energy",
    "hypervolume_over_trials",
    "score_over_co2",
    "score_over_energy",
]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK, RULE = "#1f2937", "#e2e8f0"
FRONT_HEIGHT = 425
FEWEST_BARS = 5


def front_in_space(view: StudyView, drawn: Sequence[Group]) -> go.Figure:
    """Every finished trial, in groups, by energy, CO₂ and score."""
    across, along, up = energy_axis(view), co2_axis(view), score_axis(view)
    figure = go.Figure(layout=_layout(FRONT_HEIGHT))
    for group in drawn:
        figure.add_scatter3d(
            x=across.of(group.rows),
            y=along.of(group.rows),
            z=up.of(group.rows),
            marker=_marker(group, 0.62),
            textposition=_beside(group),
            textfont={"color": group.colour, "size": 13},
            **_telling(group),
        )
    figure.update_layout(
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene={
            "xaxis": _spatial(across, view),
            "yaxis": _spatial(along, view),
            "zaxis": _spatial(up, view),
            "camera": {
                "eye": {"x": 1.45, "y": -1.55, "z": 0.72},
                "center": {"x": 0, "y": 0, "z": -0.1},
            },
            "aspectmode": "cube",
        },
    )
    return figure


def score_over_energy(view: StudyView, drawn: Sequence[Group]) -> go.Figure:
    """Projection on energy and score, with the staircase beyond which nothing lies."""
    return _projection(view, drawn, energy_axis(view), score_axis(view), staircase=True)


def score_over_co2(view: StudyView, drawn: Sequence[Group]) -> go.Figure:
    """Projection on CO₂ and score, with the staircase beyond which nothing lies."""
    return _projection(view, drawn, co2_axis(view), score_axis(view), staircase=True)


def co2_over_energy(view: StudyView, drawn: Sequence[Group]) -> go.Figure:
    """Projection on energy and CO₂."""
    return _projection(view, drawn, energy_axis(view), co2_axis(view), staircase=False)


def hypervolume_over_trials(view: StudyView) -> go.Figure:
    """How far the search had come after each finished trial."""
    return _progress(view, [float(step.finished) for step in view.steps], "Finished trials")


def hypervolume_over_energy(view: StudyView) -> go.Figure:
    """How far the search had come for the energy spent."""
    spent = [step.kwh_spent for step in view.steps]
    scale = quantities.energy_scale(spent)
    title = f"Spent by the search ({scale.unit}, {view.kind})"
    return _progress(view, [kwh * scale.factor for kwh in spent], title)


def green_scores(view: StudyView) -> go.Figure:
    """Green Scores of the front by rank; what is not eligible is grey and hatched."""
    figure = go.Figure(layout=_layout(400))
    order = [_tick(row.rank, row.trial) for row in view.front.rows]
    for name, eligible, colour, pattern in (
        ("Eligible", True, BLUE, ""),
        ("Not eligible", False, GREY, "/"),
    ):
        rows = [row for row in view.front.rows if row.eligible == eligible]
        if rows:
            figure.add_bar(
                name=name,
                x=[_tick(row.rank, row.trial) for row in rows],
                y=[row.green_score if math.isfinite(row.green_score) else None for row in rows],
                text=[quantities.count(row.green_score) for row in rows],
                hovertext=[hover(view, row, row.rank) for row in rows],
                hovertemplate="%{hovertext}<extra></extra>",
                marker={
                    "color": colour,
                    "line": {"color": colour, "width": 1},
                    "pattern": {"shape": pattern, "fgcolor": colour, "bgcolor": "#f8fafc"},
                },
                textposition="outside",
                cliponaxis=False,
            )
    figure.update_layout(
        bargap=0.35,
        showlegend=True,
        xaxis={
            "title": "Rank and trial",
            "type": "category",
            "categoryorder": "array",
            "categoryarray": order,
            # Few bars stay bars, not walls.
            "range": [-0.5, max(len(order), FEWEST_BARS) - 0.5],
        },
        yaxis={
            "title": f"Green Score (% per kg CO₂, {view.kind})",
            "exponentformat": "SI",
            "rangemode": "tozero",
        },
    )
    return figure


def energy_by_phase(view: StudyView) -> go.Figure:
    """Where the energy of the whole search went, with its plausible range."""
    parts = view.spent_by_phase
    scale = quantities.energy_scale([spent.kwh for spent in parts.values()])
    figure = go.Figure(layout=_layout(140 + 36 * len(parts)))
    ends = [max(spent.kwh, spent.high_kwh) * scale.factor for spent in parts.values()]
    figure.add_bar(
        orientation="h",
        x=[spent.kwh * scale.factor for spent in parts.values()],
        y=[escape(phase, quote=False) for phase in parts],
        marker={"color": SKY, "line": {"color": BLUE, "width": 1}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, s.high_kwh - s.kwh) * scale.factor for s in parts.values()],
            "arrayminus": [max(0.0, s.kwh - s.low_kwh) * scale.factor for s in parts.values()],
            "color": INK,
            "thickness": 1.4,
            "width": 4,
        },
        hovertext=[
            f"{quantities.energy(s.kwh)}, between {quantities.energy(s.low_kwh)} and "
            f"{quantities.energy(s.high_kwh)}"
            for s in parts.values()
        ],
        hovertemplate="%{y}: %{hovertext}<extra></extra>",
        showlegend=False,
    )
    for (phase, spent), end in zip(parts.items(), ends, strict=True):
        figure.add_annotation(
            x=end,
            y=escape(phase, quote=False),
            text=quantities.energy(spent.shown_kwh[0]),
            xanchor="left",
            xshift=8,
            showarrow=False,
        )
    figure.update_layout(
        xaxis={
            "title": f"Energy ({scale.unit}, {view.kind})",
            "range": [0, 1.32 * max(ends, default=1.0) or 1.0],
        },
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False},
    )
    return figure


def _projection(
    view: StudyView, drawn: Sequence[Group], across: Axis, up: Axis, *, staircase: bool
) -> go.Figure:
    figure = go.Figure(layout=_layout(FRONT_HEIGHT))
    if staircase:
        places = [(across.of([r])[0], up.of([r])[0]) for r in view.complete]
        x, y = _best_for_cost(places, higher=view.metric.maximise)
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line={"shape": "hv", "color": BLUE, "width": 1.2, "dash": "dot"},
            name="Best for its cost",
            hoverinfo="skip",
            showlegend=False,
        )
    for group in drawn:
        figure.add_scatter(
            x=across.of(group.rows),
            y=up.of(group.rows),
            marker=_marker(group, 1.0),
            textposition=_beside(group),
            textfont={"color": group.colour, "size": 13, "weight": 600},
            cliponaxis=False,
            **_telling(group),
        )
    figure.update_layout(xaxis=_flat(across), yaxis=_flat(up), updatemenus=frames(view, across, up))
    return figure


def _best_for_cost(
    points: Sequence[tuple[float, float]], *, higher: bool
) -> tuple[list[float], list[float]]:
    """The points of which none is both further left and better, from left to right."""
    x: list[float] = []
    y: list[float] = []
    sign = 1 if higher else -1
    for across, up in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not y or sign * up > sign * y[-1]:
            x.append(across)
            y.append(up)
    return x, y


def _progress(view: StudyView, x: list[float], title: str) -> go.Figure:
    figure = go.Figure(layout=_layout(340))
    figure.add_scatter(
        x=x,
        y=[step.hypervolume for step in view.steps],
        mode="lines+markers",
        line={"shape": "hv", "color": BLUE, "width": 2},
        marker={"size": 4},
        customdata=[[step.number, quantities.energy(step.kwh_spent)] for step in view.steps],
        hovertemplate=(
            "Trial %{customdata[0]}<br>Hypervolume %{y:.3f}<br>"
            "Spent %{customdata[1]}<extra></extra>"
        ),
        showlegend=False,
        cliponaxis=False,
    )
    figure.update_layout(
        xaxis={"title": title, "rangemode": "tozero"},
        yaxis={"title": "Hypervolume (share)", "rangemode": "tozero"},
    )
    return figure


def _telling(group: Group) -> dict[str, Any]:
    """What both the flat and the spatial traces say of their points."""
    return {
        "name": group.name,
        "mode": "markers+text" if any(group.labels) else "markers",
        "text": list(group.labels) or None,
        "hovertext": list(group.told),
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _beside(group: Group) -> str:
    # The best may be close to the baseline, or be it.
    return "top center" if group.name == "Baseline" else "bottom center"


def _marker(group: Group, scale: float) -> dict[str, Any]:
    hollow = group.symbol.endswith("-open")
    return {
        "symbol": group.symbol,
        "size": group.pixels * scale,
        "color": group.colour,
        "opacity": group.opacity,
        "line": {"width": 2.5 if hollow else 1, "color": group.colour if hollow else "#ffffff"},
    }


def _flat(axis: Axis) -> dict[str, Any]:
    return {
        "title": {"text": axis.title},
        "type": "log" if axis.log else "linear",
        # With more, a logarithmic axis numbers every digit of a decade.
        **({"nticks": 6} if axis.log else {}),
    }


def _spatial(axis: Axis, view: StudyView) -> dict[str, Any]:
    return {
        # Marks on the very edge would be cut in half.
        "range": axis.frame(view.complete, 0.07),
        "title": {"text": axis.title, "font": {"size": 13}},
        "type": "log" if axis.log else "linear",
        "tickfont": {"size": 11},
        "gridcolor": "#cbd5e1",
        "backgroundcolor": "#f8fafc",
        "showbackground": True,
        **({"dtick": "D2"} if axis.log else {}),
    }


def _tick(rank: int, trial: int) -> str:
    return f"#{rank} · {trial}"


def _layout(height: int) -> go.Layout:
    axis = {
        "gridcolor": RULE,
        "linecolor": "#94a3b8",
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "#94a3b8",
        "automargin": True,
        "title": {"standoff": 10},
    }
    template = go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": INK},
            "paper_bgcolor": "#ffffff",
            "plot_bgcolor": "#ffffff",
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": "#ffffff",
                "bordercolor": "#94a3b8",
                "align": "left",
                "font": {"family": FONT, "size": 13, "color": INK},
            },
        }
    )
    return go.Layout(
        template=template,
        height=height,
        autosize=True,
        margin={"l": 12, "r": 16, "t": 44, "b": 12},
        legend={
            "orientation": "h",
            "x": 0,
            "xref": "container",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
        },
        modebar={"color": "#64748b", "activecolor": BLUE, "bgcolor": "rgba(255,255,255,0)"},
        separators=".,",
    )

"""The front: every finished trial by what it costs and how good it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.report.points import Axis, Group, groups, hover, score_axis
from greenfront.studies.report.theme import BLUE, layout

__all__ = ["front"]

HEIGHT = 540


def front(view: StudyView, across: Axis) -> go.Figure:
    """The trials over one cost, with the staircase beyond which nothing lies.

    Opens close to the models worth choosing: a hopeless model costs next to nothing, so it is often
    on the front, far from everything else.

    Args:
        view: The study, with a finished trial.
        across: The cost.
    """
    up = score_axis(view)
    figure = go.Figure(layout=layout(HEIGHT))
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
    near = [row for row in view.front.rows if row.eligible]
    near += [view.baseline] if near and view.baseline else []
    ranks = {row.trial: row.rank for row in view.front.rows}
    for group in groups(view):
        hollow = group.symbol.endswith("-open")
        figure.add_scatter(
            x=across.of(group.rows),
            y=up.of(group.rows),
            name=group.name,
            mode="markers+text" if group.labels else "markers",
            text=list(group.labels) or None,
            textposition=_beside(view, group, across, near),
            textfont={"color": group.colour, "size": 13, "weight": 600},
            customdata=[row.trial for row in group.rows],
            hovertext=[hover(view, row, ranks.get(row.trial, 0)) for row in group.rows],
            hovertemplate="%{hovertext}<extra></extra>",
            marker={
                "symbol": group.symbol,
                "size": group.pixels,
                "color": group.colour,
                "opacity": group.opacity,
                "line": {"width": 2.5 if hollow else 1, "color": _edge(group)},
            },
            cliponaxis=True,
            showlegend=bool(group.rows),
        )
    figure.update_layout(xaxis=_flat(across, near), yaxis=_flat(up, near))
    return figure


def _under_or_over(view: StudyView) -> str:
    """The baseline's word keeps away from the words, above their marks, of models like it."""
    named, baseline = [row for row in view.front.named.values() if row], view.baseline
    if baseline is None or not named:
        return "bottom center"
    nearest = min(named, key=lambda row: abs(row.score - baseline.score))
    over = view.metric.gain(baseline.score) > view.metric.gain(nearest.score)
    return "top center" if over else "bottom center"


def _beside(
    view: StudyView, group: Group, across: Axis, near: Sequence[ScoredTrial]
) -> str | list[str]:
    """Words stand to the right of marks on the left, and the other way round."""
    if not near:
        return "bottom center"
    if group.name == "Baseline":
        return _under_or_over(view)
    costs = across.of(near)
    middle = math.sqrt(max(costs) * min(costs))
    return ["top left" if cost > middle else "top right" for cost in across.of(group.rows)]


def _edge(group: Group) -> str:
    return group.colour if group.symbol.endswith("-open") else "#ffffff"


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


def _flat(axis: Axis, near: Sequence[ScoredTrial]) -> dict[str, object]:
    return {
        "title": {"text": axis.title},
        "type": "log" if axis.log else "linear",
        **({"range": axis.frame(near)} if near else {}),
        # With more, a logarithmic axis numbers every digit of a decade.
        **({"nticks": 6} if axis.log else {}),
    }

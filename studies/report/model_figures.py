"""The models side by side: by family, and over all that they trade."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from greenfront.studies.analysis.findings.families import FamilyRecord, families
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.analysis.words.metric_words import score
from greenfront.studies.report.theme import BLUE, GREEN, GREY, LABELLED, SLATE, layout

__all__ = ["MOST_LINES", "family_co2", "family_scores", "parallel"]

MOST_LINES = 150
"""Dominated trials drawn as lines: more are a wall."""

LINE = 16
"""Characters of a family's name in a line: a phone cuts longer ones, and leaves bars no room."""

ROW, TEXT_LINE = 36, 18
"""Pixels of a bar with what parts it from the next one, at least, and of a line beside it."""


def family_co2(view: StudyView) -> go.Figure:
    """CO₂ of the best of each family; hatched where none is accurate enough."""
    shown = _of_families(view)
    scale = quantities.mass_scale([row.co2_kg for _, row in shown])
    return _bars(
        view,
        [row.co2_kg * scale.factor for _, row in shown],
        [quantities.mass(row.co2_kg) for _, row in shown],
        f"CO₂ ({scale.unit}, {view.kind})",
        BLUE,
    )


def family_scores(view: StudyView) -> go.Figure:
    """Green Score of the same models."""
    shown = _of_families(view)
    return _bars(
        view,
        [row.green_score if math.isfinite(row.green_score) else None for _, row in shown],
        [quantities.count(row.green_score) for _, row in shown],
        "% per kg CO₂",
        GREEN,
    )


def _of_families(view: StudyView) -> list[tuple[FamilyRecord, ScoredTrial]]:
    return [(record, record.greenest or record.most_accurate) for record in families(view)]


def _bars(
    view: StudyView,
    values: Sequence[float | None],
    texts: Sequence[str],
    title: str,
    colour: str,
) -> go.Figure:
    shown = _of_families(view)
    names = [_lines(record.family) for record, _ in shown]
    row = max(ROW, TEXT_LINE * max((len(name) for name in names), default=1))
    figure = go.Figure(layout=layout(100 + row * len(shown)))
    figure.add_bar(
        orientation="h",
        x=values,
        y=["<br>".join(escape(line, quote=False) for line in name) for name in names],
        text=texts,
        textposition="outside",
        cliponaxis=False,
        customdata=[row.trial for _, row in shown],
        hovertext=[
            f"trial {row.trial}, {view.metric.title} {score(view.metric, row.score)}"
            for _, row in shown
        ],
        hovertemplate="%{y}: %{text} (%{hovertext})<extra></extra>",
        marker={
            "color": colour,
            "line": {"width": 1, "color": colour},
            "pattern": {
                "shape": ["" if record.greenest else "/" for record, _ in shown],
                "fgcolor": colour,
                "bgcolor": "rgba(0,0,0,0)",
            },
        },
        showlegend=False,
    )
    longest = max((value for value in values if value is not None), default=0.0)
    figure.update_layout(
        bargap=0.45,
        margin=LABELLED,
        xaxis={
            "title": {"text": title},
            "range": [0, longest or 1.0],
            "exponentformat": "SI",
            "nticks": 4,
            "tickangle": 0,
        },
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False, "ticks": ""},
    )
    return figure


def _lines(name: str) -> list[str]:
    """A name in lines, broken behind punctuation where there is some in time."""
    lines = [""]
    for part in re.findall(rf"[^:/._-]{{1,{LINE - 1}}}[:/._-]?|[:/._-]", name):
        if len(lines[-1] + part) > LINE:
            lines.append("")
        lines[-1] += part
    return lines


@dataclass(frozen=True, slots=True)
class _Axis:
    """One of the parallel axes."""

    title: str
    pick: Callable[[ScoredTrial], float | None]
    text: Callable[[float], str]
    log: bool = False

    def placed(self, rows: Sequence[ScoredTrial]) -> tuple[list[float | None], list[str]]:
        """Places of the rows between 0 and 1, and what stands at both ends."""
        raw = [self.pick(row) for row in rows]
        scaled = [self._scaled(value) for value in raw]
        known = [value for value in scaled if value is not None]
        if not known:
            return [None] * len(rows), ["–", "–"]
        low, high = min(known), max(known)
        span = high - low
        places = [None if v is None else (v - low) / span if span else 0.5 for v in scaled]
        ends = [math.exp(end) if self.log else end for end in (low, high)]
        return places, [self.text(end) for end in ends]

    def _scaled(self, value: float | None) -> float | None:
        if value is None or (self.log and value <= 0):
            return None
        return math.log(value) if self.log else value


def parallel(view: StudyView) -> go.Figure:
    """Each model as a line over all that models trade; the dominated ones grey and behind."""
    front = list(view.front.rows)
    ranked = {row.trial for row in front}
    others = [row for row in view.complete if row.trial not in ranked]
    others = others[:: max(1, math.ceil(len(others) / MOST_LINES))]
    rows = [*others, *front]
    axes = _axes(view)
    placed = [axis.placed(rows) for axis in axes]
    lines = dict(
        zip((row.trial for row in rows), zip(*(p for p, _ in placed), strict=True), strict=True)
    )
    figure = go.Figure(layout=layout(390))
    for name, members, style in (
        ("Dominated", others, {"color": GREY, "width": 1}),
        (
            "Front, not eligible",
            [row for row in front if not row.eligible],
            {"color": SLATE, "width": 1.5, "dash": "dot"},
        ),
        ("Front, eligible", [row for row in front if row.eligible], {"color": BLUE, "width": 2.2}),
    ):
        # A gap parts each line from the next one.
        figure.add_scatter(
            name=name,
            x=[x for _ in members for x in (*range(len(axes)), None)],
            y=[y for row in members for y in (*lines[row.trial], None)],
            customdata=[n for row in members for n in (*[row.trial] * len(axes), None)],
            mode="lines+markers",
            line=style,
            marker={"size": 5, "color": style["color"]},
            opacity=0.35 if name == "Dominated" else 1.0,
            hovertemplate="Trial %{customdata}<extra></extra>",
            showlegend=bool(members),
        )
    for index, (axis, (_, ends)) in enumerate(zip(axes, placed, strict=True)):
        _label_axis(figure, index, axis.title, ends)
    edge = 0.35
    figure.update_layout(
        margin={"l": 12, "r": 12, "t": 52, "b": 60},
        xaxis={
            "range": [-edge, len(axes) - 1 + edge],
            "tickvals": list(range(len(axes))),
            "showticklabels": False,
            "ticks": "",
            "showline": False,
            "gridcolor": GREY,
        },
        yaxis={"range": [-0.06, 1.06], "visible": False},
    )
    return figure


def _label_axis(figure: go.Figure, index: int, title: str, ends: Sequence[str]) -> None:
    """Writes what an axis shows above it, and its lowest and highest value at its ends."""
    for place, text, anchor, shift in ((0, ends[0], "top", -6), (1, ends[1], "bottom", 6)):
        figure.add_annotation(
            x=index,
            y=place,
            text=escape(text, quote=False),
            yanchor=anchor,
            yshift=shift,
            showarrow=False,
            font={"size": 12, "color": SLATE},
            bgcolor="#ffffff",
        )
    figure.add_annotation(
        x=index,
        y=1,
        text=f"<b>{escape(title, quote=False)}</b>",
        yanchor="bottom",
        yshift=24,
        showarrow=False,
        font={"size": 12},
    )


def _axes(view: StudyView) -> list[_Axis]:
    metric = view.metric

    def text(value: float) -> str:
        return score(metric, value)

    axes = [
        _Axis(metric.title, lambda row: row.score, text),
        _Axis("Energy", lambda row: row.energy_kwh, quantities.energy, log=True),
    ]
    if not view.scoring.carbon.proportional_to_energy:
        axes.append(_Axis("CO₂", lambda row: row.co2_kg, quantities.mass, log=True))
    axes += [
        _Axis("Prediction", lambda row: row.outcome.answer.joules, quantities.joules, log=True),
        _Axis("Making", lambda row: row.outcome.training.kwh, quantities.energy, log=True),
        _Axis("Latency", lambda row: row.outcome.latency_seconds, quantities.seconds, log=True),
        _Axis("File", lambda row: float(row.outcome.artefact_bytes), quantities.size, log=True),
        _Axis("Pruned", lambda row: row.outcome.pruned_ratio, quantities.percent),
        _Axis("Bits", lambda row: float(row.candidate.precision.bits), _whole),
    ]
    return axes


def _whole(value: float) -> str:
    return f"{value:.0f}"

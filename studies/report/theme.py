"""How all figures look: colours, type, axes. The page's script swaps the colours in the dark."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "INK",
    "LABELLED",
    "ORANGE",
    "SKY",
    "SLATE",
    "layout",
]

# Of Okabe and Ito's palette, which colour-blind people tell apart, and greys. The script of the
# page has the same list with the colours that stand for them on a dark ground.
BLUE, SKY, ORANGE, GREEN = "#0072b2", "#56b4e9", "#d55e00", "#009e73"
SLATE, GREY, INK, RULE = "#475569", "#94a3b8", "#1f2937", "#e2e8f0"

LABELLED = {"l": 12, "r": 84, "t": 16, "b": 12}
"""The margin of bars whose numbers stand behind their ends: no range keeps that free on a phone."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def layout(height: int, **further: Any) -> go.Layout:
    """The layout of a figure.

    Args:
        height: In pixels.
        further: Of Plotly's layout, laid over it.
    """
    axis = {
        "gridcolor": RULE,
        "linecolor": GREY,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": GREY,
        "automargin": True,
        "title": {"standoff": 10, "font": {"color": SLATE}},
        "tickfont": {"color": SLATE},
    }
    template = go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": INK},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": "#ffffff",
                "bordercolor": GREY,
                "align": "left",
                "font": {"family": FONT, "size": 13, "color": INK},
            },
        }
    )
    made = go.Layout(
        template=template,
        height=height,
        autosize=True,
        margin={"l": 12, "r": 16, "t": 16, "b": 12},
        legend={
            "orientation": "h",
            "x": 0,
            "xref": "container",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "font": {"color": SLATE},
        },
        separators=".,",
    )
    made.update(further)
    return made

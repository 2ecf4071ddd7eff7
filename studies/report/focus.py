"""Two frames for one figure: every trial, or the neighbourhood of the models worth choosing.

A hopeless model costs next to nothing, so it is often on the front, far from everything else.
Both frames are a click away; the figure opens with the one that leaves nothing out.
"""

from __future__ import annotations

from typing import Any

from greenfront.studies.analysis.view import StudyView
from greenfront.studies.report.points import Axis

__all__ = ["frames"]

CROWDED = 3.0
"""How much wider than the neighbourhood everything must be for a second frame to help."""

MARGIN = 0.18
"""Room around the neighbourhood, as a share of it."""


def frames(view: StudyView, across: Axis, up: Axis) -> list[dict[str, Any]]:
    """Buttons that change a flat figure's frame; none where one frame serves."""
    near = [row for row in view.front.rows if row.eligible]
    if not near:
        return []
    near += [view.baseline] if view.baseline else []
    wide = [axis.span(view.complete) / axis.span(near) for axis in (across, up)]
    if max(wide) < CROWDED:
        return []
    close = {"xaxis.range": across.frame(near, MARGIN), "yaxis.range": up.frame(near, MARGIN)}
    whole = {"xaxis.autorange": True, "yaxis.autorange": True}
    return [
        {
            "type": "buttons",
            "direction": "right",
            "buttons": [
                {"label": "All trials", "method": "relayout", "args": [whole]},
                {"label": "Close-up", "method": "relayout", "args": [close]},
            ],
            "showactive": True,
            "x": 0,
            "xanchor": "left",
            "y": 1.03,
            "yanchor": "bottom",
            "pad": {"l": 0, "t": 0, "b": 0, "r": 0},
            "bgcolor": "#ffffff",
            "bordercolor": "#94a3b8",
            "font": {"size": 12},
        }
    ]

"""How far a search had come after each trial and for how much energy."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from greenfront.objectives.readings import JOULES_PER_KWH
from greenfront.studies.analysis.volume import Corners, Frontier, seen_corners
from greenfront.studies.store.storage import ledger_table
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import FINISHED

__all__ = ["ProgressPoint", "progress"]


@dataclass(frozen=True, slots=True)
class ProgressPoint:
    """The search after one more finished trial.

    Attributes:
        finished: Trials finished so far.
        number: The trial that has just finished.
        kwh_spent: By the whole search until then.
        hypervolume: Of the front so far.
    """

    finished: int
    number: int
    kwh_spent: float
    hypervolume: float


def progress(
    study: Study, maximise: Sequence[bool], corners: Corners | None = None
) -> list[ProgressPoint]:
    """The curve of hypervolume over trials and over energy.

    Args:
        study: Any study.
        maximise: For each objective, whether more is better.
        corners: What hypervolume is measured against; by default the box of everything seen.
    """
    rows = study.trials.all(states=FINISHED)
    rows.sort(key=lambda row: row.finished_at or 0.0)
    corners = corners or seen_corners([r.values for r in rows if r.values is not None], maximise)
    spending = _spending(study)
    moments = [moment for moment, _ in spending]
    frontier, volume = Frontier(maximise), 0.0
    steps: list[ProgressPoint] = []
    for finished, row in enumerate(rows, start=1):
        if row.values is not None and corners is not None:
            frontier.add(row.values)
            volume = frontier.volume(corners)
        spent = bisect.bisect_right(moments, row.finished_at or 0.0)
        kwh = spending[spent - 1][1] if spent else 0.0
        steps.append(ProgressPoint(finished, row.number, kwh, volume))
    return steps


def _spending(study: Study) -> list[tuple[float, float]]:
    """Moments (Unix seconds) and the kWh spent until then."""
    c = ledger_table.c
    query = (
        sa.select(c.ended_at, c.joules)
        .where(c.study_id == study.study_id, c.joules.is_not(None))
        .order_by(c.ended_at)
    )
    with study.storage.reading() as connection:
        rows = connection.execute(query).all()
    totals = np.cumsum([row.joules for row in rows]) / JOULES_PER_KWH
    return [(row.ended_at, float(kwh)) for row, kwh in zip(rows, totals, strict=True)]

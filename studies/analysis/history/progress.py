"""How far a search had come after each trial and for how much energy."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from greenfront.objectives.readings import JOULES_PER_KWH
from greenfront.studies.analysis.ranking.volume import Corners, Frontier, seen_corners
from greenfront.studies.store.study import Study
from greenfront.studies.store.tables import ledger_table, trials_table
from greenfront.studies.store.trials import FINISHED

__all__ = ["Course", "ProgressPoint", "progress"]


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


@dataclass(frozen=True, slots=True)
class Course:
    """What a study has finished and spent by when; its hypervolumes are yet to be computed.

    Attributes:
        finished: Number, values and end (Unix seconds) of the finished trials, by their end.
        moments: At which something was spent, in Unix seconds, ascending.
        kwh: Spent until each moment.
    """

    finished: Sequence[tuple[int, Sequence[float] | None, float | None]]
    moments: Sequence[float]
    kwh: Sequence[float]

    @classmethod
    def of(cls, study: Study) -> Course:
        """Of any study, as it stands in the database."""
        return cls(_finished(study), *_spending(study))

    def steps(
        self,
        maximise: Sequence[bool],
        corners: Corners | None = None,
        values: Mapping[int, Sequence[float]] | None = None,
    ) -> list[ProgressPoint]:
        """See :func:`progress`."""
        rows = self.finished
        if values is not None:
            rows = [(number, values.get(number, stored), ended) for number, stored, ended in rows]
        vectors = [vector for _, vector, _ in rows if vector is not None]
        corners = corners or seen_corners(vectors, maximise)
        frontier, volume = Frontier(maximise), 0.0
        steps: list[ProgressPoint] = []
        for finished, (number, vector, finished_at) in enumerate(rows, start=1):
            if vector is not None and corners is not None:
                frontier.add(vector)
                volume = frontier.volume(corners)
            entries = bisect.bisect_right(self.moments, finished_at or 0.0)
            kwh = self.kwh[entries - 1] if entries else 0.0
            steps.append(ProgressPoint(finished, number, kwh, volume))
        return steps


def progress(
    study: Study,
    maximise: Sequence[bool],
    corners: Corners | None = None,
    values: Mapping[int, Sequence[float]] | None = None,
) -> list[ProgressPoint]:
    """The curve of hypervolume over trials and over energy.

    Args:
        study: Any study.
        maximise: For each objective, whether more is better.
        corners: What hypervolume is measured against; by default the box of everything seen.
        values: Of trials by number, instead of those that were stored when they finished, so that
            all of a study is shown by one kind of values: medians where it was measured again.
    """
    return Course.of(study).steps(maximise, corners, values)


def _finished(study: Study) -> list[tuple[int, Sequence[float] | None, float | None]]:
    """Number, values and end of the finished trials by their end, without the rest of a row."""
    c = trials_table.c
    query = (
        sa.select(c.number, c["values"], c.finished_at)
        .where(c.study_id == study.study_id, c.state.in_(FINISHED))
        .order_by(c.finished_at, c.number)
    )
    return [(number, values, ended) for number, values, ended in study.storage.rows(query)]


def _spending(study: Study) -> tuple[list[float], list[float]]:
    """Moments (Unix seconds), and the kWh spent until each."""
    c = ledger_table.c
    query = (
        sa.select(c.ended_at, c.joules)
        .where(c.study_id == study.study_id, c.joules.is_not(None))
        .order_by(c.ended_at)
    )
    rows = study.storage.rows(query)
    totals: list[float] = (np.cumsum([joules for _, joules in rows]) / JOULES_PER_KWH).tolist()
    return [moment for moment, _ in rows], totals

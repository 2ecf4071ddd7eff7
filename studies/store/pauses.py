"""Waits for cleaner electricity, as they are kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from greenfront.objectives.carbon.clock import Clock
from greenfront.studies.store.intervals import Interval, length, overlapping
from greenfront.studies.store.part import StudyPart
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import pauses_table, runs_table

__all__ = ["Pause", "PauseWriter", "Pauses"]


@dataclass(frozen=True, slots=True)
class Pause:
    """One wait of one worker.

    Attributes:
        number: The trial that waited between two epochs; ``None`` before a trial.
        started_at: Unix seconds.
        ended_at: Unix seconds; the present while it goes on, and the last sign of life of a run
            that died in it.
        reason: In words.
        clock_started_at: The grid's time; another than the wall's where a past is replayed.
        clock_ended_at: The same; ``None`` while it goes on.
    """

    number: int | None
    started_at: float
    ended_at: float
    reason: str
    clock_started_at: float
    clock_ended_at: float | None

    @property
    def span(self) -> Interval:
        """Begin and end."""
        return self.started_at, self.ended_at


class Pauses(StudyPart):
    """The waits of a study."""

    def writer(self, run_id: str, clock: Clock) -> PauseWriter:
        """What writes down the waits of one run; see :class:`PauseWriter`."""
        return PauseWriter(self.storage, self.study_id, run_id, clock)

    def all(self) -> list[Pause]:
        """Those of all runs and workers, by their begin."""
        table, runs = pauses_table.c, runs_table.c
        query = (
            sa.select(pauses_table, runs.heartbeat_at, runs.ended_at.label("run_ended_at"))
            .select_from(pauses_table.outerjoin(runs_table, runs.run_id == table.run_id))
            .where(table.study_id == self.study_id)
            .order_by(table.started_at)
        )
        now = time.time()
        found = []
        for row in self.storage.rows(query):
            ended = row.ended_at
            if ended is None:
                # Never written down: it goes on, or its run was killed in it.
                ended = min(now, row.run_ended_at or row.heartbeat_at or row.started_at)
            found.append(
                Pause(
                    row.number,
                    row.started_at,
                    max(ended, row.started_at),
                    row.reason,
                    row.clock_started_at,
                    row.clock_ended_at,
                )
            )
        return found

    def waited_seconds(self, workers: int = 1) -> float:
        """Seconds of the wall's clock in which the study waited.

        Args:
            workers: How many of them wait at a time while the study does.
        """
        return length(overlapping((pause.span for pause in self.all()), workers))


class PauseWriter:
    """Writes the waits of one run.

    Args:
        storage: The database.
        study_id: Optuna's number of the study.
        run_id: The run that waits.
        clock: The grid's time.
    """

    def __init__(self, storage: Storage, study_id: int, run_id: str, clock: Clock) -> None:
        self._storage = storage
        self._study_id = study_id
        self._run_id = run_id
        self._clock = clock

    def begin(self, number: int | None, started_at: float, reason: str) -> int:
        """Writes that a wait has begun; gives its number in the book."""
        row = {
            "study_id": self._study_id,
            "run_id": self._run_id,
            "number": number,
            "started_at": started_at,
            "reason": reason,
            "clock_started_at": self._clock.at(started_at),
        }
        c = pauses_table.c
        known = sa.select(c.pause_id).where(
            c.run_id == self._run_id,
            c.number.is_not_distinct_from(number),
            c.started_at == started_at,
        )
        insert = sa.insert(pauses_table).values(row).returning(c.pause_id)
        number_in_book = self._storage.write(
            lambda connection: connection.execute(insert).scalar_one(),
            done=lambda connection: connection.scalar(known),
        )
        return int(number_in_book)

    def end(self, pause_id: int, ended_at: float) -> None:
        """Writes that it is over."""
        change = (
            sa.update(pauses_table)
            .where(pauses_table.c.pause_id == pause_id)
            .values(ended_at=ended_at, clock_ended_at=self._clock.at(ended_at))
        )
        self._storage.change(change)

"""Waits for cleaner electricity or for a cooler machine, as they are kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from greenfront.objectives.carbon.clock import Clock
from greenfront.studies.store.intervals import Interval, length, overlapping
from greenfront.studies.store.part import StudyPart
from greenfront.studies.store.tables import pauses_table, runs_table

__all__ = ["Pause", "PauseKind", "PauseWriter", "Pauses"]

PauseKind = Literal["electricity", "heat"]
"""What is waited for: that electricity is cleaner, or that a machine has cooled down."""


@dataclass(frozen=True, slots=True)
class Pause:
    """One wait of one worker.

    Attributes:
        pause_id: Its number in the book.
        kind: What for.
        host: The machine that waited; empty where that is not known any more.
        number: The trial that waited between two epochs; ``None`` before a trial.
        started_at: Unix seconds.
        ended_at: Unix seconds; the present while it goes on, and the last sign of life of a run
            that died in it.
        reason: In words.
        clock_started_at: The grid's time; another than the wall's where a past is replayed.
        clock_ended_at: The same; ``None`` while it goes on.
    """

    pause_id: int
    kind: PauseKind
    host: str
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

    def writer(self, run_id: str, clock: Clock, kind: PauseKind = "electricity") -> PauseWriter:
        """What writes down the waits of one run; see :class:`PauseWriter`."""
        return PauseWriter(self, run_id, clock, kind)

    def all(self, kind: PauseKind | None = None) -> list[Pause]:
        """Those of all runs and workers, by their begin; ``kind`` leaves others out."""
        table, runs = pauses_table.c, runs_table.c
        query = (
            sa.select(
                pauses_table, runs.host, runs.heartbeat_at, runs.ended_at.label("run_ended_at")
            )
            .select_from(pauses_table.outerjoin(runs_table, runs.run_id == table.run_id))
            .where(table.study_id == self.study_id)
            .order_by(table.started_at)
        )
        if kind is not None:
            query = query.where(table.kind == kind)
        now = time.time()
        found = []
        for row in self.storage.rows(query):
            ended = row.ended_at
            if ended is None:
                # Never written down: it goes on, or its run was killed in it.
                ended = min(now, row.run_ended_at or row.heartbeat_at or row.started_at)
            found.append(
                Pause(
                    row.pause_id,
                    row.kind,
                    (row.host or "").partition("/")[0],
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
        """Seconds of the wall's clock in which the study waited for cleaner electricity.

        Args:
            workers: How many of them wait at a time while the study does.
        """
        waits = self.all("electricity")
        return length(overlapping((pause.span for pause in waits), workers))


class PauseWriter:
    """Writes the waits of one run.

    Args:
        book: The waits of the study.
        run_id: The run that waits.
        clock: The grid's time.
        kind: What it waits for.
    """

    def __init__(self, book: StudyPart, run_id: str, clock: Clock, kind: PauseKind) -> None:
        self._storage = book.storage
        self._study_id = book.study_id
        self._run_id = run_id
        self._clock = clock
        self._kind = kind

    def begin(self, number: int | None, started_at: float, reason: str) -> int:
        """Writes that a wait has begun; gives its number in the book."""
        row = {
            "study_id": self._study_id,
            "run_id": self._run_id,
            "number": number,
            "started_at": started_at,
            "reason": reason,
            "clock_started_at": self._clock.at(started_at),
            "kind": self._kind,
        }
        c = pauses_table.c
        known = sa.select(c.pause_id).where(
            c.run_id == self._run_id,
            c.number.is_not_distinct_from(number),
            c.started_at == started_at,
            c.kind == self._kind,
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

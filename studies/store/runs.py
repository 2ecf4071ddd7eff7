"""Who is working on a study, and who has died."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import psutil
import sqlalchemy as sa

from greenfront.errors import StorageLost
from greenfront.studies.store.intervals import Interval, length, union
from greenfront.studies.store.part import StudyPart
from greenfront.studies.store.processes import SILENCE_SECONDS, exists, place, since_boot
from greenfront.studies.store.rescue import Known
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import runs_table

__all__ = [
    "HEARTBEAT_SECONDS",
    "Run",
    "Runs",
]

HEARTBEAT_SECONDS = 5.0
"""How often a run says that it is alive; within the ledger's promise of ten seconds."""

LATE_BEATS = 3
"""A run that was late by so many beats was suspended, or its database was away."""


_ENDED: set[str] = set()
"""Runs of this process that are over, whatever their databases could be told of it."""


@dataclass(slots=True)
class Wakefulness:
    """Since when a process has beaten without a gap, by its own monotonic clock.

    Attributes:
        beaten_at: When it last did; ``None`` for a mere onlooker.
        since: Since when without a gap.
    """

    beaten_at: float | None = None
    since: float = 0.0

    def beaten(self) -> None:
        """A beat has reached the database."""
        if not self.lasts():
            self.since = monotonic()
        self.beaten_at = monotonic()

    def lasts(self) -> bool:
        """Whether the latest beat is no longer ago than it should be."""
        gap = LATE_BEATS * HEARTBEAT_SECONDS
        return self.beaten_at is not None and monotonic() - self.beaten_at <= gap


@dataclass(frozen=True, slots=True)
class Run:
    """One process at work on one study.

    Attributes:
        storage: The database.
        study_id: Optuna's number of the study.
        run_id: Its own.
        known: What it has found and spent.
        awake: Its beats.
    """

    storage: Storage
    study_id: int
    run_id: str
    known: Known = field(default_factory=Known, compare=False, repr=False)
    awake: Wakefulness = field(default_factory=Wakefulness, compare=False)

    def beat(self) -> None:
        """Says that this process is alive, whoever has taken it for dead."""
        now = time.time()
        self._update(heartbeat_at=now, ended_at=None, monotonic_heartbeat=monotonic())
        self.awake.beaten()

    def end(self) -> None:
        """Signs this process out; it knows itself that it did where the database is away."""
        _ENDED.add(self.run_id)
        now = time.time()
        self._update(heartbeat_at=now, ended_at=now, monotonic_heartbeat=monotonic())

    def _update(self, **values: float | None) -> None:
        mine = sa.update(runs_table).where(runs_table.c.run_id == self.run_id)
        if not self.storage.change(mine.values(**values)):
            raise StorageLost(
                f"{self.storage.url} does not hold this run any more: its study was deleted, or an "
                "older state of the database was restored"
            )


class Runs(StudyPart):
    """Who works on a study, and who did.

    Args:
        storage: The database.
        study_id: Optuna's number of the study.
    """

    def __init__(self, storage: Storage, study_id: int) -> None:
        super().__init__(storage, study_id)
        self._heard: dict[str, _Heard] = {}
        self._awake = Wakefulness()
        self._here = place()

    def begin(self) -> Run:
        """Signs this process in."""
        run = Run(self.storage, self.study_id, uuid.uuid4().hex, awake=self._awake)
        now, steady = time.time(), monotonic()
        row = {
            "run_id": run.run_id,
            "study_id": self.study_id,
            "host": self._here,
            "pid": os.getpid(),
            "pid_started_at": since_boot(psutil.Process()),
            "started_at": now,
            "heartbeat_at": now,
            "monotonic_start": steady,
            "monotonic_heartbeat": steady,
        }
        known = sa.select(runs_table.c.run_id).where(runs_table.c.run_id == run.run_id)
        self.storage.change(sa.insert(runs_table).values(row), done=known)
        self._awake.beaten()
        return run

    def dead(self) -> list[str]:
        """Runs that will not finish what they began: ended, vanished or silent for too long."""
        return [row.run_id for row in self._rows() if not self._alive(row)]

    def broken_off(self) -> list[sa.Row[Any]]:
        """Runs that have died before they signed out, and that nobody has signed out since."""
        return [row for row in self._rows() if row.ended_at is None and not self._alive(row)]

    def sign_out(self, dead: Sequence[sa.Row[Any]]) -> None:
        """Signs runs out that have died, with their last heartbeat.

        Args:
            dead: As :meth:`broken_off` gives them; one that has beaten since lives on.
        """
        c = runs_table.c
        for row in dead:
            last = (c.run_id == row.run_id) & (c.heartbeat_at == row.heartbeat_at)
            self.storage.change(sa.update(runs_table).where(last).values(ended_at=row.heartbeat_at))

    def living(self) -> list[str]:
        """Runs that are at work now, the eldest first."""
        return [row.run_id for row in self._rows() if self._alive(row)]

    def beside(self, run_id: str) -> tuple[int, int]:
        """How many living runs of this place are older than one of them, and how many there are."""
        here = [row.run_id for row in self._rows() if row.host == self._here and self._alive(row)]
        return here.index(run_id) if run_id in here else 0, max(len(here), 1)

    def spans(self) -> list[Interval]:
        """Begin and end of each run in Unix seconds; a living one's end is the present."""
        now = time.time()
        return [
            (float(row.started_at), now if self._alive(row) else float(row.heartbeat_at))
            for row in self._rows()
        ]

    def active_minutes(self) -> float:
        """Minutes with at least one run at work; a dead one counts until its last heartbeat.

        Runs of one host are laid on its monotonic clock, and that clock onto the wall's once, where
        the host's first run began: a wall clock that is set in between adds nothing.
        """
        origins: dict[str, float] = {}
        spans: list[Interval] = []
        for row in sorted(self._rows(), key=lambda row: float(row.started_at)):
            begin, end = row.monotonic_start, row.monotonic_heartbeat
            alive = self._alive(row)
            if begin is None or end is None:  # begun by an older version
                spans.append((row.started_at, time.time() if alive else row.heartbeat_at))
                continue
            if alive and row.host == self._here:
                end = max(monotonic(), end)
            origin = origins.setdefault(row.host, row.started_at - begin)
            spans.append((origin + begin, origin + end))
        return length(union(spans)) / 60

    def _rows(self) -> Sequence[sa.Row[Any]]:
        c = runs_table.c
        query = sa.select(runs_table).where(c.study_id == self.study_id)
        return self.storage.rows(query.order_by(c.started_at, c.run_id))

    def _alive(self, row: sa.Row[Any]) -> bool:
        if row.ended_at is not None or row.run_id in _ENDED:
            return False
        if row.host == self._here:
            return exists(row.pid, row.pid_started_at)
        return self._is_heard(row)

    def _is_heard(self, row: sa.Row[Any]) -> bool:
        """Whether a run elsewhere has beaten lately.

        A run is asked by its own monotonic clock alone, and only for the time in which its own
        beats came through: who was suspended, or had no database, has heard nobody. A mere onlooker
        can only compare wall clocks at first sight; once it saw a beat follow another, it need not.
        """
        known = self._heard.get(row.run_id)
        if known is None or known.beat != row.heartbeat_at:
            known = _Heard(row.heartbeat_at, monotonic(), followed=known is not None)
            self._heard[row.run_id] = known
        if self._awake.beaten_at is not None:
            heard_at = max(known.heard_at, self._awake.since)
            return not self._awake.lasts() or monotonic() - heard_at < SILENCE_SECONDS
        silent = monotonic() - known.heard_at
        if not known.followed:
            silent = max(silent, time.time() - row.heartbeat_at)
        return silent < SILENCE_SECONDS


@dataclass(frozen=True, slots=True)
class _Heard:
    """A beat of a run elsewhere.

    Attributes:
        beat: In Unix seconds of that host.
        heard_at: When it was first seen, by the monotonic clock of this one.
        followed: Whether another beat was seen before it.
    """

    beat: float
    heard_at: float
    followed: bool

"""Who is working on a study, and who has died."""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import sqlalchemy as sa

from greenfront.studies.store.intervals import Interval, length, union
from greenfront.studies.store.part import StudyPart
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import runs_table

__all__ = [
    "HEARTBEAT_SECONDS",
    "SILENCE_SECONDS",
    "Run",
    "Runs",
]

HEARTBEAT_SECONDS = 5.0
"""How often a run says that it is alive; within the ledger's promise of ten seconds."""

SILENCE_SECONDS = 60.0
"""A run on another host that has been silent for so long is taken for dead."""


@dataclass(frozen=True, slots=True)
class Run:
    """One process at work on one study."""

    storage: Storage
    study_id: int
    run_id: str

    def beat(self) -> None:
        """Says that this process is alive."""
        self._update(heartbeat_at=time.time(), monotonic_heartbeat=monotonic())

    def end(self) -> None:
        """Signs this process out."""
        now = time.time()
        self._update(heartbeat_at=now, ended_at=now, monotonic_heartbeat=monotonic())

    def _update(self, **values: float) -> None:
        with self.storage.writing() as connection:
            connection.execute(
                sa.update(runs_table).where(runs_table.c.run_id == self.run_id).values(**values)
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

    def begin(self) -> Run:
        """Signs this process in."""
        run = Run(self.storage, self.study_id, uuid.uuid4().hex)
        now, steady = time.time(), monotonic()
        with self.storage.writing() as connection:
            connection.execute(
                sa.insert(runs_table).values(
                    run_id=run.run_id,
                    study_id=self.study_id,
                    host=_host(),
                    pid=os.getpid(),
                    pid_started_at=_since_boot(psutil.Process()),
                    started_at=now,
                    heartbeat_at=now,
                    monotonic_start=steady,
                    monotonic_heartbeat=steady,
                )
            )
        return run

    def dead(self) -> list[str]:
        """Runs that will not finish what they began: ended, vanished or silent for too long."""
        return [row.run_id for row in self._rows() if not self._alive(row)]

    def living(self) -> list[str]:
        """Runs that are at work now, the eldest first."""
        return [row.run_id for row in self._rows() if self._alive(row)]

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
            if alive and row.host == _host():
                end = max(monotonic(), end)
            origin = origins.setdefault(row.host, row.started_at - begin)
            spans.append((origin + begin, origin + end))
        return length(union(spans)) / 60

    def _rows(self) -> Sequence[sa.Row[Any]]:
        c = runs_table.c
        query = sa.select(runs_table).where(c.study_id == self.study_id)
        query = query.order_by(c.started_at, c.run_id)
        with self.storage.reading() as connection:
            return connection.execute(query).all()

    def _alive(self, row: sa.Row[Any]) -> bool:
        if row.ended_at is not None:
            return False
        return _exists(row) if row.host == _host() else self._is_heard(row)

    def _is_heard(self, row: sa.Row[Any]) -> bool:
        """Whether a run of another host has beaten lately.

        At first sight only the two hosts' wall clocks can tell; once a beat was seen to follow
        another, this process's own monotonic clock does.
        """
        known = self._heard.get(row.run_id)
        if known is None or known.beat != row.heartbeat_at:
            known = _Heard(row.heartbeat_at, monotonic(), followed=known is not None)
            self._heard[row.run_id] = known
        silent = monotonic() - known.heard_at
        if not known.followed:
            silent = max(silent, time.time() - row.heartbeat_at)
        return silent < SILENCE_SECONDS


@dataclass(frozen=True, slots=True)
class _Heard:
    """A beat of another host's run.

    Attributes:
        beat: In Unix seconds of that host.
        heard_at: When it was first seen, by the monotonic clock of this one.
        followed: Whether another beat was seen before it.
    """

    beat: float
    heard_at: float
    followed: bool


def _exists(row: sa.Row[Any]) -> bool:
    try:
        process = psutil.Process(row.pid)
        # Its start tells a process from another one that was given its number since. Older
        # versions kept it in Unix seconds.
        begun = (_since_boot(process), process.create_time())
        same = any(abs(start - row.pid_started_at) < 1.0 for start in begun)
        # A killed process that nobody has waited for keeps its number, but does nothing more.
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _since_boot(process: psutil.Process) -> float:
    """When a process was started, in seconds since the boot: the wall clock may be set."""
    boot = psutil.boot_time()  # first: creation times are told against what it has last found
    return float(process.create_time() - boot)


def _host() -> str:
    # The boot id tells a machine from its own past and from another of the same name.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = f"{psutil.boot_time():.0f}"
    return f"{platform.node()}/{boot}"

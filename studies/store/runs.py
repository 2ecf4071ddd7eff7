"""Who is working on a study, and who has died."""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from greenfront.studies.store.intervals import Interval, length, union
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
        self._update(heartbeat_at=time.time())

    def end(self) -> None:
        """Signs this process out."""
        now = time.time()
        self._update(heartbeat_at=now, ended_at=now)

    def _update(self, **values: float) -> None:
        with self.storage.writing() as connection:
            connection.execute(
                sa.update(runs_table).where(runs_table.c.run_id == self.run_id).values(**values)
            )


class Runs:
    """Who works on a study, and who did.

    Args:
        storage: The database.
        study_id: Optuna's number of the study.
    """

    def __init__(self, storage: Storage, study_id: int) -> None:
        self.storage = storage
        self.study_id = study_id

    def begin(self) -> Run:
        """Signs this process in."""
        run = Run(self.storage, self.study_id, uuid.uuid4().hex)
        now = time.time()
        with self.storage.writing() as connection:
            connection.execute(
                sa.insert(runs_table).values(
                    run_id=run.run_id,
                    study_id=self.study_id,
                    host=_host(),
                    pid=os.getpid(),
                    pid_started_at=psutil.Process().create_time(),
                    started_at=now,
                    heartbeat_at=now,
                )
            )
        return run

    def dead(self) -> list[str]:
        """Runs that will not finish what they began: ended, vanished or silent for too long."""
        return [row.run_id for row in self._rows() if not _alive(row)]

    def living(self) -> list[str]:
        """Runs that are at work now."""
        return [row.run_id for row in self._rows() if _alive(row)]

    def spans(self) -> list[Interval]:
        """Begin and end of each run in Unix seconds; a living one's end is the present."""
        now = time.time()
        return [
            (float(row.started_at), now if _alive(row) else float(row.heartbeat_at))
            for row in self._rows()
        ]

    def active_minutes(self) -> float:
        """Minutes with at least one run at work; a dead one counts until its last heartbeat."""
        return length(union(self.spans())) / 60

    def _rows(self) -> Sequence[sa.Row[Any]]:
        query = sa.select(runs_table).where(runs_table.c.study_id == self.study_id)
        with self.storage.reading() as connection:
            return connection.execute(query).all()


def _alive(row: sa.Row[Any]) -> bool:
    if row.ended_at is not None:
        return False
    if row.host == _host():
        try:
            process = psutil.Process(row.pid)
            # Creation time tells a process from another one that was given its number since.
            same = abs(process.create_time() - row.pid_started_at) < 1.0
            # A killed process that nobody has waited for keeps its number, but does nothing more.
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
    return bool(time.time() - row.heartbeat_at < SILENCE_SECONDS)


def _host() -> str:
    # The boot id tells a machine from its own past and from another of the same name.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = f"{psutil.boot_time():.0f}"
    return f"{platform.node()}/{boot}"

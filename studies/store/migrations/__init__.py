"""Versions of our tables, by alembic; Optuna keeps the version of its own beside them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from greenfront.studies.store.processes import SILENCE_SECONDS, exists, place
from greenfront.studies.store.tables import runs_table

__all__ = ["VERSIONS", "VERSION_TABLE", "is_current", "is_in_use", "is_known", "upgrade"]

VERSION_TABLE = "greenfront_version"

VERSIONS = ("1", "2", "3", "4", "5", "6", "7", "8")
"""The oldest first. Stated here because alembic, which finds them, takes long to import."""


def is_current(connection: Connection) -> bool:
    """Whether the tables are those of this release."""
    return _version(connection) == VERSIONS[-1]


def is_known(connection: Connection) -> bool:
    """Whether they are of this or an earlier release."""
    version = _version(connection)
    return version is None or version in VERSIONS


def is_in_use(connection: Connection) -> bool:
    """Whether a run is at work on the tables, of whatever release.

    One of another place is taken to be until a minute after its last heartbeat.
    """
    if not sa.inspect(connection).has_table(runs_table.name):
        return False
    c, here = runs_table.c, place()  # columns of version 1 alone
    query = sa.select(c.host, c.pid, c.pid_started_at, c.heartbeat_at).where(c.ended_at.is_(None))
    return any(
        exists(row.pid, row.pid_started_at)
        if row.host == here
        else abs(time.time() - row.heartbeat_at) < SILENCE_SECONDS
        for row in connection.execute(query)
    )


def upgrade(connection: Connection) -> None:
    """Brings the tables to this release, within the connection's transaction."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent))

    def steps(version: Any, _context: Any) -> Any:
        return scripts._upgrade_revs("head", version)

    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "fn": steps}
    )
    with Operations.context(context):
        context.run_migrations()


def _version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    query = sa.select(sa.column("version_num", sa.String)).select_from(sa.table(VERSION_TABLE))
    return connection.scalar(query)

"""Versions of our tables, by alembic; Optuna keeps the version of its own beside them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

__all__ = ["VERSION_TABLE", "is_current", "is_known", "upgrade"]

VERSION_TABLE = "greenfront_version"


def is_current(connection: Connection) -> bool:
    """Whether the tables are those of this release."""
    return _version(connection) == _scripts().get_current_head()


def is_known(connection: Connection) -> bool:
    """Whether they are of this or an earlier release."""
    version = _version(connection)
    return version is None or version in {script.revision for script in _scripts().walk_revisions()}


def upgrade(connection: Connection) -> None:
    """Brings the tables to this release, within the connection's transaction."""

    def steps(version: Any, _context: MigrationContext) -> Any:
        return _scripts()._upgrade_revs("head", version)

    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "fn": steps}
    )
    with Operations.context(context):
        context.run_migrations()


def _version(connection: Connection) -> str | None:
    options = {"version_table": VERSION_TABLE}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent))

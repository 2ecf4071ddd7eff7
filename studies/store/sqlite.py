"""What is particular to SQLite: its settings, its log, and a fault of its own.

All of what is written goes to a log beside the file (WAL), and from there into the file: a
*checkpoint*. SQLite makes one within any commit that finds the log long. Up to 3.51.2 it may so
lose committed pages and damage the file: where a checkpoint begins when all of the log is in the
file already, and another connection begins the log anew meanwhile
(https://sqlite.org/wal.html#walresetbug). Only who writes can begin the log anew. So none of our
connections makes a checkpoint by itself, and :func:`checkpoint` lets nobody write meanwhile.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from greenfront.errors import StorageError

__all__ = [
    "REPAIR",
    "checkpoint",
    "has_reset_fault",
    "is_damage",
    "require_sound",
    "result_code",
    "tune",
]

Version = tuple[int, ...]

RESET_FAULT_MENDED: Version = (3, 51, 3)
RESET_FAULT_MENDED_OF_OLD: dict[Version, int] = {(3, 44): 6, (3, 50): 7}
"""Older branches that were mended, too: the last number of the first such release."""

REPAIR = (
    "it is left as it is: copy it with its -wal file, save what can be read with sqlite3 OLD.db "
    ".recover | sqlite3 NEW.db, and name that one with --storage"
)
"""The way out of a damaged file."""


def has_reset_fault(version: Version) -> bool:
    """Whether a version of SQLite can damage a file by checkpoints beside a writer."""
    mended = RESET_FAULT_MENDED_OF_OLD.get(version[:2])
    if mended is not None:
        return version[2] < mended
    return version < RESET_FAULT_MENDED


def tune(engine: Engine) -> None:
    """Sets SQLite up for several processes; this changes the file, so never for a mere look.

    Args:
        engine: Of any database; nothing is done to a server's.
    """
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _tune)
        engine.dispose()  # connections opened before the listener


def _tune(connection: Any, _record: Any) -> None:
    # Write-ahead logging lets readers and a writer work at once; with it, this setting survives
    # the death of any process and costs no disk flush a transaction.
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA wal_autocheckpoint=0")
    cursor.close()


def checkpoint(engine: Engine) -> None:
    """Brings what stands in the log into the file, as far as no reader is in the way.

    Writers wait for it. SQLite's own kinds of checkpoint that keep them out wait for readers, too.

    Args:
        engine: Of any database; a server looks after itself.

    Raises:
        sqlalchemy.exc.DBAPIError: Another one writes for a minute, or the disk is full; nothing is
            lost.
    """
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as lock, engine.connect() as mover:
        lock.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            mover.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            lock.rollback()


def require_sound(engine: Engine) -> None:
    """Reads a file through, 5 ms a megabyte.

    Args:
        engine: Of any database; a server looks after itself.

    Raises:
        StorageError: Pages of it are missing, or do not fit together.
    """
    if engine.dialect.name != "sqlite":
        return
    try:
        with engine.connect() as connection:
            found = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar())
    except sa.exc.DatabaseError as error:
        if not is_damage(error.orig):
            raise
        found = str(error.orig)
    if found != "ok":
        raise StorageError(
            f"storage {str(engine.url)!r} is damaged ({' '.join(found.split())}); {REPAIR}"
        )


def is_damage(error: object) -> bool:
    """Whether a driver's error says that a file holds what SQLite has not written."""
    return result_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def result_code(error: object) -> int:
    """SQLite's primary result code of a driver's error; 0 where it is not SQLite's."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF

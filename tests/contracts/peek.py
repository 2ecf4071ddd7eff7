"""A study's database, read without our own code, and cheaply enough to be asked all the time."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

__all__ = ["rows"]


def rows(folder: Path, query: str) -> list[sqlite3.Row]:
    """What a query finds in a folder's ``greenfront.db``; nothing before there are tables."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{folder}/greenfront.db?mode=rw", uri=True, timeout=60)
        ) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []

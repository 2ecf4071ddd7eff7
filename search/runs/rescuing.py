"""What is saved of a search whose database was deleted or damaged under it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from greenfront.errors import StorageLost
from greenfront.studies.analysis.words.quantities import counted
from greenfront.studies.store.rescue import copied, write_rescue
from greenfront.studies.store.runs import Run
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

__all__ = ["hold", "rescued"]


def hold(storage: Storage) -> sqlite3.Connection:
    """A connection that keeps a database file readable after it was deleted.

    Of a server, or of a database of this process alone, it is one to nothing.
    """
    held = sqlite3.connect(":memory:" if storage.file is None else storage.file.path)
    held.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens its log as well
    return held


def rescued(
    study: Study, run: Run, held: sqlite3.Connection, failure: BaseException
) -> StorageLost | None:
    """Writes down what a run knows, if its database is lost; ``None`` where it is not.

    Args:
        study: The study.
        run: Of this process.
        held: See :func:`hold`.
        failure: That ended the search.

    Returns:
        The error to raise, which names the files.
    """
    file = study.storage.file
    told = str(failure) if isinstance(failure, StorageLost) else None
    if file is not None:
        damage = file.damage(failure)
        told = told if damage is None else f"the database {file.path} {damage}"
    if told is None:
        return None
    beside = Path(f"greenfront-{study.name}").absolute() if file is None else file.path
    head = {"study": study.name, "storage": study.storage.url, "reason": told}
    path = write_rescue(run.known, beside, run.run_id, head)
    trials = len(run.known.trials)
    message = (
        f"{told} while study {study.name!r} was searched: what this run knows, "
        f"{counted(trials, 'trial')} and what they have cost, was written to {path}"
    )
    whole = None if file is None else copied(held, beside, run.run_id)
    if whole is not None:
        message += (
            f"; the database as it was is in {whole}: put it in its place, and greenfront resume "
            f"{study.name} goes on"
        )
    return StorageLost(message)

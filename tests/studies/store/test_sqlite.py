"""SQLite's log reaches the file with no writer beside it, and damage is seen before work."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa

from contracts.problems import Menu
from contracts.waiting import eventually
from greenfront import PlainChoice, optimize_problem
from greenfront.errors import StorageError
from greenfront.search import optimize
from greenfront.search.runs import heartbeat
from greenfront.studies.store.patience import failure_words
from greenfront.studies.store.runs import Runs
from greenfront.studies.store.sqlite import checkpoint, has_reset_fault, require_sound
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import runs_table


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


@pytest.fixture
def storage(path: Path) -> Iterator[Storage]:
    storage = Storage(f"sqlite:///{path}")
    with contextlib.closing(storage):
        yield storage


@contextlib.contextmanager
def other_program(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        yield connection


def in_the_file(path: Path) -> int | None:
    """Rows that the file holds without its log; ``None`` where it makes no sense without it."""
    alone = path.with_name("alone.db")
    # In another process: to close a file takes away the locks that this one has on it.
    subprocess.run(["cp", path, alone], check=True)
    with contextlib.closing(sqlite3.connect(alone)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM notes").fetchone()[0])
        except sqlite3.DatabaseError:
            return None


def note(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS notes (text)")
    connection.execute("INSERT INTO notes VALUES ('something')")


@pytest.mark.parametrize(
    ("version", "faulty"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_versions_with_the_fault(version: tuple[int, ...], faulty: bool) -> None:
    assert has_reset_fault(version) is faulty


def test_no_commit_of_ours_or_of_optunas_makes_a_checkpoint(storage: Storage) -> None:
    assert isinstance(storage.optuna, optuna.storages.RDBStorage)
    for engine in (storage.engine, storage.optuna.engine):
        with engine.connect() as one, engine.connect() as other:
            for connection in (one, other):
                assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == 0


def test_nobody_writes_while_a_checkpoint_is_made(storage: Storage, path: Path) -> None:
    tried: list[str] = []

    def write(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "wal_checkpoint" in statement:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                connection.execute("BEGIN IMMEDIATE")
            tried.append(statement)

    with other_program(path) as connection:
        note(connection)
        sa.event.listen(storage.engine, "before_cursor_execute", write)
        checkpoint(storage.engine)
        assert tried == ["PRAGMA wal_checkpoint(PASSIVE)"]
        assert in_the_file(path) == 1
        note(connection)  # and goes on afterwards


def test_a_reader_holds_nobody_up(storage: Storage, path: Path) -> None:
    with other_program(path) as reader, other_program(path) as writer:
        note(writer)
        reader.execute("BEGIN")
        count = "SELECT count(*) FROM notes"
        assert reader.execute(count).fetchone() == (1,)
        note(writer)
        checkpoint(storage.engine)
        assert reader.execute(count).fetchone() == (1,)
        reader.execute("COMMIT")
        checkpoint(storage.engine)
        assert in_the_file(path) == 2


def test_a_running_search_makes_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.05)

    notes = itertools.count(1)

    def before(candidate: PlainChoice) -> None:
        with other_program(path) as connection:
            connection.execute("PRAGMA busy_timeout = 60000")
            note(connection)
        written = next(notes)
        eventually(lambda: in_the_file(path) == written, "note in the file")

    optimize_problem(Menu(before=before), trials=2, storage=f"sqlite:///{path}")


def damage(path: Path) -> None:
    """Takes a row out of a table and leaves it in its index."""
    with other_program(path) as connection:
        note(connection)
        connection.execute("CREATE INDEX words ON notes (text)")
        connection.execute("PRAGMA writable_schema = ON")
        row = connection.execute("SELECT * FROM sqlite_master WHERE name = 'words'").fetchone()
        connection.execute("DELETE FROM sqlite_master WHERE name = 'words'")
    with other_program(path) as connection:
        connection.execute("DELETE FROM notes")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)


def break_off(storage: Storage) -> None:
    """A run dies without a word."""
    run = Runs(storage, 1).begin()
    gone = sa.update(runs_table).where(runs_table.c.run_id == run.run_id).values(pid_started_at=0)
    with storage.writing() as connection:
        connection.execute(gone)


def test_a_damaged_file_is_seen_after_a_run_that_broke_off(path: Path) -> None:
    url = f"sqlite:///{path}"
    optimize_problem(Menu(), trials=2, storage=url)
    damage(path)
    assert len(optimize_problem(Menu(), trials=3, storage=url).trials) == 3  # nobody has died
    with contextlib.closing(Storage(url)) as storage:
        break_off(storage)
    again = Menu()
    with pytest.raises(StorageError, match=r"damaged \(.*index words\).*\.recover"):
        optimize_problem(again, trials=4, storage=url)
    assert again.tried == []


def test_a_sound_file_is_read_through_once_for_each_run_that_broke_off(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[sa.Engine] = []

    def counted(engine: sa.Engine) -> None:
        checked.append(engine)
        require_sound(engine)

    monkeypatch.setattr(optimize, "require_sound", counted)
    url = f"sqlite:///{path}"
    optimize_problem(Menu(), trials=2, storage=url)
    for rounds in (1, 2):
        with contextlib.closing(Storage(url)) as storage:
            break_off(storage)
        for trials in (2 * rounds + 1, 2 * rounds + 2):
            assert len(optimize_problem(Menu(), trials=trials, storage=url).trials) == trials
        assert len(checked) == rounds


def test_a_file_that_cannot_be_read_through_is_damaged(storage: Storage, path: Path) -> None:
    checkpoint(storage.engine)
    storage.engine.dispose()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(StorageError, match="damaged"):
        require_sound(storage.engine)


def test_an_error_of_a_damaged_file_says_so() -> None:
    cause = sqlite3.DatabaseError("database disk image is malformed")
    cause.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    error = sa.exc.DatabaseError("SELECT 1", None, cause)
    assert failure_words(error).startswith(
        "the database is damaged (database disk image is malformed); it is left as it is: copy it"
    )

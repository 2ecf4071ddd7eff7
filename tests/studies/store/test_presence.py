"""Whether a database file is still the one that was opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from greenfront.errors import StorageLost
from greenfront.studies.store.presence import DatabaseFile
from greenfront.studies.store.storage import Storage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Storage(f"sqlite:///{tmp_path}/study.db").close()
    return tmp_path / "study.db"


def test_a_file_in_use_is_present(path: Path) -> None:
    file = DatabaseFile(path)
    storage = Storage(f"sqlite:///{path}")
    with storage.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE more (number INTEGER)")
    storage.close()
    file.require()
    with sqlite3.connect(path) as connection:  # it becomes another size, but no other file
        connection.execute("DROP TABLE more")
        connection.execute("VACUUM")
    connection.close()
    assert file.objection() is None


def test_what_happens_to_it_is_told(path: Path, tmp_path: Path) -> None:
    file = DatabaseFile(path)
    content = path.read_bytes()
    path.write_bytes(b"")
    assert file.objection() == "was truncated"
    path.write_bytes(content)
    assert file.objection() is None
    other = tmp_path / "other.db"
    other.write_bytes(content)
    path.rename(tmp_path / "away.db")
    assert file.objection() == "was deleted"
    with pytest.raises(StorageLost, match=r"study\.db was deleted"):
        file.require()
    path.touch()  # as SQLite does
    assert file.objection() == "was deleted"
    other.rename(path)
    assert file.objection() == "was replaced by another file"


def test_damage_is_known_by_its_error(path: Path) -> None:
    file = DatabaseFile(path)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection, pytest.raises(sa.exc.OperationalError) as harmless:
        connection.exec_driver_sql("SELECT * FROM nothing")
    engine.dispose()
    assert file.damage(harmless.value) is None
    path.write_bytes(b"not a database at all " * 1000)
    with engine.connect() as connection, pytest.raises(sa.exc.DatabaseError) as raised:
        connection.exec_driver_sql("SELECT * FROM greenfront_trials")
    engine.dispose()
    assert file.damage(raised.value) == "is damaged (file is not a database)"

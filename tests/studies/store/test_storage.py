from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa

from greenfront.errors import StorageError
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.storage import DEFAULT_URL, Storage
from greenfront.studies.store.study import Study, study_names
from greenfront.studies.store.tables import studies_table


def begin(storage: Storage, name: str = "wine") -> Study:
    return Study.create(
        storage,
        name,
        directions=["maximize"],
        identity="same",
        configuration={"a": [1, None]},
        meters=None,
        facts=None,
    )


@pytest.mark.parametrize("way", [Storage, Storage.existing, lambda u: Storage(u, create=False)])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", r"storage '' is no SQLAlchemy URL: give one such as sqlite:///greenfront.db"),
        ("study.db", r"storage 'study.db' is no SQLAlchemy URL: give one such as sqlite:"),
        ("sqlite:/study.db", r"storage 'sqlite:/study.db' is no SQLAlchemy URL"),
        ("postgresql://host:port/name", r"'postgresql://host:\*\*\*' is no SQLAlchemy URL"),
        ("greendb://host/name", r"storage 'greendb://host/name' .* driver is missing .*greendb"),
        ("sqlite://", r"'sqlite:///' is in memory .*: give a file, such as sqlite:///green"),
        ("sqlite:///:memory:", r"storage 'sqlite:///:memory:' is in memory .*: give a file"),
    ],
)
def test_bad_urls_are_refused(way: Callable[[str], Any], url: str, message: str) -> None:
    with pytest.raises(StorageError, match=message):
        way(url)


def test_a_missing_driver_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageError, match=r"driver is missing .*psycopg.*greenfront\[postgres\]"):
        Storage("postgresql+psycopg://localhost/greenfront")


def test_a_server_that_does_not_answer_is_named_without_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://anna:secret@/name?host={tmp_path}"
    with pytest.raises(StorageError, match=r"anna:\*\*\*.* cannot be opened .*server") as error:
        Storage(url)
    assert "secret" not in str(error.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/no/study.db"
    for way in (Storage, Storage.existing):
        with pytest.raises(StorageError, match=r"no/study.db' cannot be made: its folder does not"):
            way(url)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("[study]\n" * 200)
    for way in (Storage, Storage.existing, lambda url: Storage(url, create=False)):
        with pytest.raises(StorageError, match=r"study.toml' cannot be opened \(file is not a dat"):
            way(f"sqlite:///{path}")
    assert path.read_text() == "[study]\n" * 200
    assert list(tmp_path.iterdir()) == [path]


def test_without_create_nothing_is_made(storage_url: str, tmp_path: Path) -> None:
    message = "does not exist: name the right one" if "sqlite" in storage_url else "holds no gree"
    with pytest.raises(StorageError, match=message):
        Storage(storage_url, create=False)
    assert Storage.existing(storage_url) is None
    assert not list(tmp_path.iterdir())
    if "postgresql" in storage_url:
        engine = sa.create_engine(storage_url)
        assert not sa.inspect(engine).get_table_names()
        engine.dispose()


@pytest.mark.parametrize("statement", [None, "CREATE TABLE other (number)"])
def test_looking_leaves_other_files_as_they_are(tmp_path: Path, statement: str | None) -> None:
    path = tmp_path / "other.db"
    path.touch()
    if statement:
        other = sqlite3.connect(path)
        other.execute(statement)
        other.commit()
        other.close()
    before = path.read_bytes()
    assert Storage.existing(f"sqlite:///{path}") is None
    with pytest.raises(StorageError, match=r"other.db' holds no greenfront study: run one there"):
        Storage(f"sqlite:///{path}", create=False)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_kept_is_found_again(storage_url: str) -> None:
    first = Storage(storage_url)
    begin(first)
    first.close()
    for way in (Storage, Storage.existing, lambda url: Storage(url, create=False)):
        again = way(storage_url)
        assert again is not None
        assert study_names(again) == ["wine"]
        assert optuna.get_all_study_names(again.optuna) == ["wine"]
        again.close()


LATER_COLUMNS = (
    ("ledger", "worker"),
    ("runs", "monotonic_start"),
    ("runs", "monotonic_heartbeat"),
    ("trials", "rung"),
    ("trials", "point"),
    ("trials", "afterwards"),
    ("pauses", "kind"),
)
LATER_TABLES = ("rungs", "follow_ups")


def test_tables_of_an_older_version_get_what_they_lack(storage_url: str) -> None:
    Storage(storage_url).close()
    engine = sa.create_engine(storage_url)
    with engine.begin() as connection:
        # As it was before tables had versions.
        for table, column in LATER_COLUMNS:
            connection.execute(sa.text(f"ALTER TABLE greenfront_{table} DROP COLUMN {column}"))
        for table in LATER_TABLES:
            connection.execute(sa.text(f"DROP TABLE greenfront_{table}"))
        for index in ("ledger_by_number", "trials_by_number", "trials_by_state"):
            connection.execute(sa.text(f"DROP INDEX greenfront_{index}"))
        connection.execute(
            sa.text("CREATE INDEX ix_greenfront_ledger_study_id ON greenfront_ledger (study_id)")
        )
        connection.execute(sa.text("DROP TABLE greenfront_version"))
    engine.dispose()
    opened = Storage(storage_url, create=False)
    with opened.reading() as connection:
        seen = sa.inspect(connection)
        for table, column in LATER_COLUMNS:
            assert column in {c["name"] for c in seen.get_columns(f"greenfront_{table}")}
        for table in LATER_TABLES:
            assert seen.has_table(f"greenfront_{table}")
    assert Ledger(opened, 1).by("worker") == {}
    opened.close()


def test_none_in_json_columns_is_null(storage: Storage) -> None:
    begin(storage)
    with storage.reading() as connection:
        row = connection.exec_driver_sql(
            "SELECT meters IS NULL, facts IS NULL, configuration FROM greenfront_studies"
        ).one()
    assert tuple(map(bool, row[:2])) == (True, True)
    configuration = json.loads(row[2]) if isinstance(row[2], str) else row[2]
    assert configuration == {"a": [1, None]}


def test_a_transaction_happens_as_a_whole_or_not_at_all(storage: Storage) -> None:
    record = begin(storage)
    change = sa.update(studies_table).values(queued=True)

    def interrupted() -> None:
        with storage.writing() as connection:
            connection.execute(change)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not Study.open(storage, "wine").queued
    with storage.writing() as connection:
        connection.execute(change)
        # A reader neither waits nor sees what is not finished.
        assert not Study.open(storage, "wine").queued
    assert Study.open(storage, "wine").queued
    assert record.name == "wine"


def test_sqlite_lets_readers_and_a_writer_work_at_once(tmp_path: Path) -> None:
    storage = Storage(f"sqlite:///{tmp_path}/study.db")
    engines = [storage.engine]
    assert isinstance(storage.optuna, optuna.storages.RDBStorage)
    engines.append(storage.optuna.engine)
    for engine in engines:
        with engine.connect() as connection:
            for pragma, value in [("journal_mode", "wal"), ("synchronous", 1)]:
                assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    storage.close()


def test_a_temporary_storage_works_and_goes() -> None:
    storage = Storage.temporary()
    path = Path(storage.url.removeprefix("sqlite:///"))
    assert begin(storage).configuration == {"a": [1, None]}
    assert path.is_file()
    assert isinstance(storage.optuna, optuna.storages.InMemoryStorage)
    storage.close()
    assert not path.parent.exists()


def test_two_temporary_storages_have_nothing_in_common() -> None:
    one, other = Storage.temporary(), Storage.temporary()
    begin(one)
    assert (study_names(one), study_names(other)) == (["wine"], [])
    one.close()
    other.close()


def test_default_is_a_file_here() -> None:
    assert sa.make_url(DEFAULT_URL).database == "greenfront.db"

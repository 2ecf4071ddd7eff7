from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from optuna.storages import RDBStorage

from greenfront.errors import StorageError
from greenfront.objectives.carbon.clock import Clock
from greenfront.studies.store import migrations
from greenfront.studies.store import storage as storage_module
from greenfront.studies.store.migrations import VERSION_TABLE, VERSIONS, is_current
from greenfront.studies.store.pauses import Pauses
from greenfront.studies.store.runs import Runs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import metadata


def change(url: str, statement: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def seen(url: str, query: str) -> object:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = connection.scalar(sa.text(query))
    engine.dispose()
    return found


def test_migrations_end_at_the_tables_of_today(storage: Storage) -> None:
    def ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or ((name or "").startswith("greenfront") and name != VERSION_TABLE)

    with storage.reading() as connection:
        assert is_current(connection)
        context = MigrationContext.configure(connection, opts={"include_object": ours})
        assert compare_metadata(context, metadata) == []


def test_an_interrupted_upgrade_leaves_the_version_before(
    storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "RACES", 1)
    Storage(storage_url).close()
    change(storage_url, f"DROP TABLE {VERSION_TABLE}")
    change(storage_url, "DROP INDEX greenfront_trials_by_number")
    # An index that version 2 makes is there already, so that it fails halfway.
    with pytest.raises(StorageError, match="cannot be opened"):
        Storage(storage_url, create=False)
    engine = sa.create_engine(storage_url)
    present = sa.inspect(engine)
    assert not present.has_table(VERSION_TABLE)
    indexes = {index["name"] for index in present.get_indexes("greenfront_trials")}
    assert "greenfront_trials_by_number" not in indexes
    engine.dispose()


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_version_is_refused_with_the_way_out(storage_url: str, create: bool) -> None:
    Storage(storage_url).close()
    change(storage_url, f"UPDATE {VERSION_TABLE} SET version_num = '99'")
    with pytest.raises(StorageError, match=r"written by a newer version of greenfront: install"):
        Storage(storage_url, create=create)


def test_tables_that_optuna_cannot_read_are_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    Storage(url).close()
    change(url, "UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    for way in (Storage, Storage.existing, lambda url: Storage(url, create=False)):
        with pytest.raises(
            StorageError, match=r"Optuna cannot read .*: install the one that wrote"
        ):
            way(url)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("create", [True, False])
def test_tables_of_before_stay_while_a_run_of_before_is_at_work(
    storage_url: str, create: bool, elsewhere: bool
) -> None:
    opened = Storage(storage_url)
    run = Runs(opened, 1).begin()
    if elsewhere:
        change(storage_url, "UPDATE greenfront_runs SET host = 'elsewhere/1'")
    change(storage_url, "ALTER TABLE greenfront_pauses DROP COLUMN kind")
    change(storage_url, f"UPDATE {VERSION_TABLE} SET version_num = '7'")
    with pytest.raises(StorageError, match=r"in use by a run of an older version .*: wait until"):
        Storage(storage_url, create=create)
    assert seen(storage_url, f"SELECT version_num FROM {VERSION_TABLE}") == "7"
    if elsewhere:
        change(storage_url, "UPDATE greenfront_runs SET heartbeat_at = heartbeat_at - 61")
    else:
        run.end()
    opened.close()
    Storage(storage_url, create=create).close()
    assert seen(storage_url, f"SELECT version_num FROM {VERSION_TABLE}") == VERSIONS[-1]


def test_waits_of_before_were_for_electricity(storage_url: str) -> None:
    Storage(storage_url).close()
    change(storage_url, "ALTER TABLE greenfront_pauses DROP COLUMN kind")
    change(storage_url, f"UPDATE {VERSION_TABLE} SET version_num = '7'")
    change(
        storage_url,
        "INSERT INTO greenfront_pauses (study_id, run_id, started_at, ended_at, reason, "
        "clock_started_at, clock_ended_at) VALUES (1, 'gone', 10, 40, 'dirty', 10, 40)",
    )
    opened = Storage(storage_url, create=False)
    (wait,) = Pauses(opened, 1).all("electricity")
    assert (wait.kind, wait.host, wait.reason, wait.span) == ("electricity", "", "dirty", (10, 40))
    assert Pauses(opened, 1).all("heat") == []
    writer = Pauses(opened, 1).writer("new", Clock(), "heat")
    writer.end(writer.begin(None, 50.0, "hot"), 60.0)
    assert [pause.kind for pause in Pauses(opened, 1).all()] == ["electricity", "heat"]
    assert Pauses(opened, 1).waited_seconds() == 30
    opened.close()


def test_versions_are_those_that_alembic_finds() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == VERSIONS


def test_the_version_of_optunas_tables_is_the_one_that_it_makes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    RDBStorage(url).engine.dispose()
    assert seen(url, "SELECT version_num FROM alembic_version") == storage_module.OPTUNA_TABLES


def test_optunas_tables_are_judged_again_when_they_are_asked_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    Storage(url).close()
    opened = Storage(url, create=False)
    change(url, "UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    with pytest.raises(StorageError, match=r"Optuna cannot read .*: install the one that wrote"):
        _ = opened.optuna
    opened.close()

"""The database: Optuna's tables and ours beside them.

Ours are eight small tables. Every change is one short transaction, so that a process that is
killed at any moment leaves either the state before or the state after.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from greenfront.errors import StorageError

__all__ = [
    "DEFAULT_URL",
    "Storage",
    "ledger_table",
    "moments_table",
    "pauses_table",
    "repeats_table",
    "runs_table",
    "studies_table",
    "trials_table",
]

DEFAULT_URL = "sqlite:///greenfront.db"
LOCK_TIMEOUT_SECONDS = 60

RACES = 20
"""Lost races for making a table before giving up: each means that another process got on."""

RACE_SECONDS = 0.05
"""Waited after the first lost race; after the second twice as long, and so on."""

_metadata = sa.MetaData()

studies_table = sa.Table(
    "greenfront_studies",
    _metadata,
    sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(512), nullable=False, unique=True),
    sa.Column("identity", sa.String(64), nullable=False),
    sa.Column("configuration", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("meters", sa.JSON(none_as_null=True)),
    sa.Column("facts", sa.JSON(none_as_null=True)),
    sa.Column("queued", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)
"""One row a study: ``identity`` hashes what must never change, ``meters`` pins the instruments."""

runs_table = sa.Table(
    "greenfront_runs",
    _metadata,
    sa.Column("run_id", sa.String(32), primary_key=True),
    sa.Column("study_id", sa.Integer, nullable=False, index=True),
    sa.Column("host", sa.String(256), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("pid_started_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("heartbeat_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
)
"""One row for each process that worked on a study. Times are Unix seconds."""

trials_table = sa.Table(
    "greenfront_trials",
    _metadata,
    sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("choice", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("values", sa.JSON(none_as_null=True)),
    sa.Column("detail", sa.JSON(none_as_null=True)),
    sa.Column("reason", sa.Text),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("finished_at", sa.Float),
    sa.UniqueConstraint("study_id", "key"),
    sa.Index("greenfront_trials_by_number", "study_id", "number"),
)
"""One row a trial of the study's total: ``slot`` counts them, ``key`` keeps them distinct."""

ledger_table = sa.Table(
    "greenfront_ledger",
    _metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.Integer, nullable=False, index=True),
    sa.Column("run_id", sa.String(32), nullable=False),
    sa.Column("worker", sa.Integer),
    sa.Column("number", sa.Integer),
    sa.Column("phase", sa.String(64), nullable=False),
    sa.Column("component", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("joules", sa.Float),
    sa.Column("low_joules", sa.Float),
    sa.Column("high_joules", sa.Float),
    sa.Column("cpu_seconds", sa.Float, nullable=False),
    sa.Column("wall_seconds", sa.Float, nullable=False),
    sa.Column("co2_kg", sa.Float),
    sa.Column("g_per_kwh", sa.Float),
    sa.Column("flags", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float, nullable=False),
    sa.Index("greenfront_ledger_by_number", "study_id", "number"),
)
"""What was spent, on which trial and phase, by which worker of a run, and when: pieces while a
trial goes on, one row a phase and component when it is over."""

moments_table = sa.Table(
    "greenfront_moments",
    _metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("study_id", sa.Integer, nullable=False, index=True),
    sa.Column("basis", sa.String(16), nullable=False),
    sa.Column("unpaused_co2_kg", sa.Float),
)
"""Append only, beside the ledger's entries where intensity is known over time: who told that of the
entry's moment, and what the entry would have emitted without the pauses before it."""

pauses_table = sa.Table(
    "greenfront_pauses",
    _metadata,
    sa.Column("pause_id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.Integer, nullable=False, index=True),
    sa.Column("run_id", sa.String(32), nullable=False),
    sa.Column("number", sa.Integer),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("clock_started_at", sa.Float, nullable=False),
    sa.Column("clock_ended_at", sa.Float),
)
"""One row for each wait for cleaner electricity; ``number`` is the trial that waited between two
epochs, if one did. The clock is the grid's: another than the wall's where a past is replayed."""

repeats_table = sa.Table(
    "greenfront_repeats",
    _metadata,
    sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.String(32), nullable=False),
    sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("measured_at", sa.Float, nullable=False),
)
"""Append only: further measurements of finished trials' files, counted from 1."""


class NothingThere(StorageError):  # noqa: N818 - a state of the database, not a fault
    """The database can be opened, but no study was ever kept in it."""


class Storage:
    """One open database.

    Args:
        url: Any SQLAlchemy URL, such as ``sqlite:///greenfront.db`` or
            ``postgresql+psycopg://user@host/name``.
        create: Whether tables (and an SQLite file) may be made where they are missing.

    Raises:
        StorageError: The URL is wrong, the driver is missing, or the database does not answer.
    """

    def __init__(self, url: str = DEFAULT_URL, *, create: bool = True) -> None:
        parsed = _url(url)
        # Messages name it, so the password stays out.
        self.url = url if parsed.password is None else parsed.render_as_string(hide_password=True)
        self._check_file(parsed, create)
        try:
            self.engine = _engine(parsed)
            try:
                self.optuna: optuna.storages.BaseStorage = self._tables(url, create)
            except BaseException:
                self.engine.dispose()
                raise
        except (sa.exc.NoSuchModuleError, ImportError) as error:
            raise StorageError(
                f"storage {self.url!r} cannot be opened, its driver is missing ({error}): for "
                "PostgreSQL, pip install 'greenfront[postgres]'"
            ) from error
        except sa.exc.DBAPIError as error:
            raise StorageError(
                f"storage {self.url!r} cannot be opened ({error.orig}): check path, rights and "
                "server"
            ) from error

    def _tables(self, url: str, create: bool) -> optuna.storages.RDBStorage:
        """Finds Optuna's tables and ours, or makes them."""
        # Outside of the races below: what cannot be read at all is none.
        if not self._holds_trials() and not create:
            raise NothingThere(
                f"storage {self.url!r} holds no greenfront study: run one there first"
            )
        # Before the first table: changing the journal of a file that others read already is the
        # one moment at which SQLite's processes can disagree about where the data are.
        _tune(self.engine)
        for race in range(1, RACES + 1):
            try:
                opened = _optuna_storage(url)
                self._complete()
            except sa.exc.DBAPIError:
                # Of several processes that make the same table in the same moment, all but one
                # fail; they find it made when they look again.
                if race == RACES:
                    raise
                time.sleep(race * RACE_SECONDS)
            else:
                return opened
        raise AssertionError("unreachable")

    def _holds_trials(self) -> bool:
        with self.engine.connect() as connection:
            return sa.inspect(connection).has_table(trials_table.name)

    def _complete(self) -> None:
        """Makes what is missing of our tables: a study of an older version lacks some."""
        with self.engine.connect() as connection:
            present = sa.inspect(connection)
            tables = set(present.get_table_names())
            ledger = ledger_table.name
            columns = {c["name"] for c in present.get_columns(ledger)} if ledger in tables else None
        if not tables.issuperset(_metadata.tables):
            with self.writing() as connection:
                _metadata.create_all(connection)
        if columns is not None and "worker" not in columns:
            with self.writing() as connection:
                connection.execute(sa.text(f"ALTER TABLE {ledger} ADD COLUMN worker INTEGER"))

    @classmethod
    def existing(cls, url: str) -> Storage | None:
        """The database if it holds greenfront studies already; makes nothing.

        Raises:
            StorageError: It cannot be opened.
        """
        parsed = _url(url)
        cls._check_file(parsed, create=True)
        if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
            return None
        try:
            return cls(url, create=False)
        except NothingThere:
            return None

    @classmethod
    def temporary(cls) -> Storage:
        """A database of this process alone: Optuna's part in memory, ours in a file that goes."""
        folder = tempfile.TemporaryDirectory(prefix="greenfront-")
        storage = cls.__new__(cls)
        storage.url = f"sqlite:///{folder.name}/study.db"
        storage.engine = _engine(sa.make_url(storage.url))
        _tune(storage.engine)
        storage.optuna = optuna.storages.InMemoryStorage()
        storage._folder = folder  # kept alive with the storage
        _metadata.create_all(storage.engine)
        return storage

    _folder: tempfile.TemporaryDirectory[str] | None = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for looking; it never waits for writers."""
        with self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it happens, or nothing."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                # Taking the write lock first: a read that turns into a write may not wait for it.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def close(self) -> None:
        """Gives connections and temporary files back."""
        self.engine.dispose()
        if isinstance(self.optuna, optuna.storages.RDBStorage):
            self.optuna.engine.dispose()
        if self._folder is not None:
            self._folder.cleanup()

    @staticmethod
    def _check_file(url: sa.URL, create: bool) -> None:
        if url.get_backend_name() != "sqlite":
            return
        if not url.database or url.database == ":memory:":
            raise StorageError(
                f"storage 'sqlite:///{url.database or ''}' is in memory and lost with its first "
                f"connection: give a file, such as {DEFAULT_URL}"
            )
        path = Path(url.database)
        if not create and not path.exists():
            raise StorageError(
                f"storage file {str(path)!r} does not exist: name the right one with --storage, "
                "or start a study with greenfront run"
            )
        if create and not path.absolute().parent.is_dir():
            raise StorageError(
                f"storage file {str(path)!r} cannot be made: its folder does not exist"
            )


def _url(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:  # the latter for a port that is no number
        raise StorageError(
            f"storage {url!r} is no SQLAlchemy URL: give one such as {DEFAULT_URL}"
        ) from error


def _engine(url: sa.URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True)
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_TIMEOUT_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def manual_transactions(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    return engine


def _tune(engine: Engine) -> None:
    """Sets SQLite up for several processes; this changes the file, so never for a mere look."""
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _tune_sqlite)
        engine.dispose()  # connections opened before the listener


def _tune_sqlite(connection: Any, _record: Any) -> None:
    # Write-ahead logging lets readers and a writer work at once; with it, this setting survives
    # the death of any process and costs no disk flush a transaction.
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _optuna_storage(url: str) -> optuna.storages.RDBStorage:
    if _url(url).get_backend_name() != "sqlite":
        return optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    storage = optuna.storages.RDBStorage(
        url, engine_kwargs={"connect_args": {"timeout": LOCK_TIMEOUT_SECONDS}}
    )
    _tune(storage.engine)
    return storage

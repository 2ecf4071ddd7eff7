"""The database: Optuna's tables and ours beside them.

Ours are nine small tables. Every change is one short transaction, so that a process that is
killed at any moment leaves either the state before or the state after.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from greenfront.errors import StorageError
from greenfront.studies.store import migrations
from greenfront.studies.store.json_text import parsed_json
from greenfront.studies.store.optuna_tables import refuse_foreign
from greenfront.studies.store.passwords import without_passwords
from greenfront.studies.store.patience import Patience
from greenfront.studies.store.presence import DatabaseFile
from greenfront.studies.store.server import backend, engine_settings, outlive
from greenfront.studies.store.sqlite import tune
from greenfront.studies.store.tables import metadata, trials_table
from greenfront.studies.store.urls import DEFAULT_URL, parsed_url, shown_url

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

__all__ = [
    "DEFAULT_URL",
    "NothingThere",
    "Storage",
]

LOCK_TIMEOUT_SECONDS = 60

OPTUNA_TABLES = "v3.2.0.a"
"""Version of Optuna's tables that its release of today makes: who finds it and only looks at ours
has no need of Optuna, which takes a quarter of a second to import."""

RACES = 20
"""Lost races for making a table before giving up: each means that another process got on."""

RACE_SECONDS = 0.05
"""Waited after the first lost race; after the second twice as long, and so on."""


T = TypeVar("T")


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
        parsed = parsed_url(url)
        self.url = shown_url(url)
        self.patience = Patience()
        self._check_file(parsed, create)
        with _told(self.url):
            self.engine = _engine(parsed)
            try:
                self._make_tables(create)
                if not self._is_current_optuna():
                    # It makes its tables, or judges whether it can read those of another version.
                    _ = self.optuna
            except BaseException:
                self.engine.dispose()
                raise
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            self.file = DatabaseFile(Path(parsed.database))

    @cached_property
    def optuna(self) -> BaseStorage:
        """Optuna's tables; what only looks at ours never imports it.

        Raises:
            StorageError: This version of Optuna cannot read them.
        """
        with _told(self.url):
            try:
                return _racing(lambda: _optuna_storage(self.engine.url, self.patience))
            except RuntimeError as error:
                raise StorageError(
                    f"storage {self.url!r} holds tables that this version of Optuna cannot read "
                    f"({error}): install the one that wrote them, or name another storage"
                ) from error

    def _make_tables(self, create: bool) -> None:
        """Finds our tables, brings them to this version, or makes them."""
        # Outside of the races below: what cannot be read at all is none.
        if not self._holds_trials() and not create:
            raise NothingThere(
                f"storage {self.url!r} holds no greenfront study: run one there first"
            )
        # Before the first table: changing the journal of a file that others read already is the
        # one moment at which SQLite's processes can disagree about where the data are.
        tune(self.engine)
        _racing(self._upgrade)

    def _holds_trials(self) -> bool:
        with self.engine.connect() as connection:
            return sa.inspect(connection).has_table(trials_table.name)

    def _is_current_optuna(self) -> bool:
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return False
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
            return found.scalars().all() == [OPTUNA_TABLES]

    def _upgrade(self) -> None:
        """Makes our tables, or brings those of an older version to this one's."""
        with self.engine.connect() as connection:
            if migrations.is_current(connection):
                return
            if not migrations.is_known(connection):
                raise StorageError(
                    f"storage {self.url!r} was written by a newer version of greenfront: install "
                    "that one, or name another storage with --storage"
                )
        with self.writing() as connection:
            if migrations.is_current(connection):  # by another process meanwhile
                return
            if migrations.is_in_use(connection):
                raise StorageError(
                    f"storage {self.url!r} is in use by a run of an older version of greenfront, "
                    "and this one would change its tables: wait until that run has ended (a killed "
                    "one counts as such after a minute), or look at it with that version"
                )
            migrations.upgrade(connection)

    @classmethod
    def existing(cls, url: str) -> Storage | None:
        """The database if it holds greenfront studies already; makes nothing.

        Raises:
            StorageError: It cannot be opened.
        """
        parsed = parsed_url(url)
        cls._check_file(parsed, create=True)
        if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
            return None
        try:
            return cls(url, create=False)
        except NothingThere:
            return None

    @classmethod
    def refuse_foreign(cls, url: str, name: str) -> None:
        """Refuses a name under which another program keeps trials there; makes nothing.

        Raises:
            StorageError: The storage cannot be opened.
            StudyError: There is such a study.
        """
        parsed = parsed_url(url)
        cls._check_file(parsed, create=True)
        with _told(shown_url(url)):
            engine = _engine(parsed)  # says whether there is a driver, also for a file to be made
            if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
                return
            try:
                with engine.connect() as connection:
                    refuse_foreign(connection, name, shown_url(url))
            finally:
                engine.dispose()

    @classmethod
    def temporary(cls) -> Storage:
        """A database of this process alone: Optuna's part in memory, ours in a file that goes."""
        from optuna.storages import InMemoryStorage

        folder = tempfile.TemporaryDirectory(prefix="greenfront-")
        storage = cls.__new__(cls)
        storage.url = f"sqlite:///{folder.name}/study.db"
        storage.patience = Patience()
        storage.engine = _engine(sa.make_url(storage.url))
        tune(storage.engine)
        storage.optuna = InMemoryStorage()
        storage._folder = folder  # kept alive with the storage
        metadata.create_all(storage.engine)
        return storage

    file: DatabaseFile | None = None
    """Of SQLite; ``None`` of a server, and of a temporary one."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    def read(self, look: Callable[[Connection], T]) -> T:
        """What is found by a look, which is repeated where the server went away.

        Args:
            look: May run more than once, and writes nothing.
        """

        def looked(_again: bool) -> T:
            with self.reading() as connection:
                return look(connection)

        return self.patience.outlast(looked)

    def write(
        self,
        change: Callable[[Connection], T],
        done: Callable[[Connection], T | None] = lambda _connection: None,
    ) -> T:
        """One transaction that happens once, whenever the server goes away.

        Args:
            change: May run more than once; what it does is undone where it is not committed.
            done: Looks whether a change has happened whose answer was lost, and gives what it came
                to; ``None`` where it has not. By default it is made again: right for a change that
                comes to the same when it is made twice.

        Returns:
            What ``change`` or ``done`` has returned.
        """
        lost: list[int] = []

        def changed(again: bool) -> T:
            with self.writing() as connection:
                lost.append(backend(connection))
                if again:
                    outlive(connection, lost[:-1])
                    found = done(connection)
                    if found is not None:
                        return found
                return change(connection)

        return self.patience.outlast(changed)

    def rows(self, query: sa.Select[Any]) -> Sequence[Any]:
        """All rows of a query, as SQLAlchemy's; see :meth:`read`."""
        return self.read(lambda connection: connection.execute(query).all())

    def change(
        self, statement: sa.Update | sa.Insert | sa.Delete, done: sa.Select[Any] | None = None
    ) -> bool:
        """A transaction of one statement; see :meth:`write`.

        Args:
            statement: What to change.
            done: Finds something where it has been changed already.

        Returns:
            Whether a row was changed.
        """

        def is_done(connection: Connection) -> bool | None:
            return None if done is None or connection.execute(done).first() is None else True

        return self.write(
            lambda connection: connection.execute(statement).rowcount != 0, done=is_done
        )

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for looking, once; it never waits for writers."""
        with self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, tried once: all of it happens, or nothing.

        Raises:
            StorageLost: The file is not the one that was opened.
        """
        if self.file is not None:
            self.file.require()
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
        opened: BaseStorage | None = vars(self).get("optuna")
        if opened is not None and self._folder is None:
            cast("RDBStorage", opened).engine.dispose()
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


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Turns what goes wrong while a database is opened into one message."""
    try:
        yield
    except (sa.exc.NoSuchModuleError, ImportError) as error:
        raise StorageError(
            f"storage {url!r} cannot be opened, its driver is missing ({_words(error)}): for "
            "PostgreSQL, pip install 'greenfront[postgres]'"
        ) from error
    except sa.exc.DBAPIError as error:
        raise StorageError(
            f"storage {url!r} cannot be opened ({_words(error.orig)}): check path, rights and "
            "server"
        ) from error
    except (sa.exc.SQLAlchemyError, TypeError, ValueError) as error:  # what a driver will not take
        raise StorageError(
            f"storage {url!r} cannot be opened ({_words(error)}): check driver and parameters of "
            "the URL"
        ) from error


def _words(error: BaseException | None) -> str:
    return without_passwords(str(error).strip())


def _engine(url: sa.URL) -> Engine:
    if url.get_dialect().is_async:
        raise sa.exc.ArgumentError("its driver is asynchronous: postgresql+psycopg is not")
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, **engine_settings(url))
    waiting = {"timeout": LOCK_TIMEOUT_SECONDS}
    engine = sa.create_engine(url, connect_args=waiting, json_deserializer=parsed_json)

    @sa.event.listens_for(engine, "connect")
    def manual_transactions(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    return engine


def _racing(make: Callable[[], T]) -> T:
    for race in range(1, RACES):
        try:
            return make()
        except sa.exc.DBAPIError:
            # Of several processes that make the same table in the same moment, all but one fail;
            # they find it made when they look again.
            time.sleep(race * RACE_SECONDS)
    return make()


def _optuna_storage(url: sa.URL, patience: Patience) -> RDBStorage:
    text = url.render_as_string(hide_password=False)
    if url.get_backend_name() != "sqlite":
        from greenfront.studies.store.patient_optuna import PatientStorage

        return PatientStorage(text, engine_settings(url), patience)
    from optuna.storages import RDBStorage

    storage = RDBStorage(text, engine_kwargs={"connect_args": {"timeout": LOCK_TIMEOUT_SECONDS}})
    tune(storage.engine)
    return storage

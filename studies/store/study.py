"""A study's own row: its configuration, its instruments, and what it found out at the start."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Literal, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from greenfront.errors import StudyError
from greenfront.studies.store.curves import Curves
from greenfront.studies.store.follow_ups import FollowUps
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.optuna_tables import deleted_studies, forget, refuse_foreign
from greenfront.studies.store.pauses import Pauses
from greenfront.studies.store.repeats import Repeats
from greenfront.studies.store.rungs import Rungs
from greenfront.studies.store.runs import Runs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import studies_table
from greenfront.studies.store.trials import Trials

Direction = Literal["minimize", "maximize"]

__all__ = ["Direction", "Study", "forget_deleted", "readable", "study_names"]


def study_names(storage: Storage) -> list[str]:
    """Every study in the storage, the oldest first, but those that were deleted through Optuna."""
    query = sa.select(studies_table.c.study_id, studies_table.c.name)

    def look(connection: Connection) -> tuple[dict[int, str], Sequence[Any]]:
        rows = connection.execute(query.order_by(studies_table.c.created_at)).all()
        return deleted_studies(connection), rows

    deleted, rows = storage.read(look)
    return [str(name) for study_id, name in rows if study_id not in deleted]


def forget_deleted(storage: Storage) -> list[str]:
    """Removes what is kept of studies that were deleted through Optuna; gives their names."""
    if not storage.read(deleted_studies):
        return []

    def forgotten(connection: Connection) -> list[str]:
        deleted = deleted_studies(connection)
        forget(connection, list(deleted))
        return list(deleted.values())

    return storage.write(forgotten)


@contextlib.contextmanager
def readable(storage: Storage, name: str) -> Iterator[None]:
    """Turns what goes wrong inside, where stored values are read, into one clear message.

    Raises:
        StudyError: What is stored is not what any version of ours writes.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise StudyError(
            f"study {name!r} in {storage.url} cannot be read: it was damaged, or written by "
            f"another version ({type(error).__name__}: {error})"
        ) from error


@dataclass(frozen=True)
class Study:
    """One study of a storage, and the way to all that is kept of it.

    Example:
        >>> study = Study.open(Storage("sqlite:///greenfront.db", create=False), "wine")
        >>> study.ledger.total().kwh

    Attributes:
        storage: The database.
        study_id: Optuna's number.
        name: Unique in the storage.
        identity: Hash of everything that may not change while the study goes on.
        configuration: As the caller gave it, in JSON values.
        meters: Component, kind and source of each pinned instrument; ``None`` if unmetered.
        facts: What was found out at the start, in JSON values; ``None`` for a study that was begun
            from Python.
        queued: Whether the first generation has been queued.
        created_at: When it began, in Unix seconds.
    """

    storage: Storage = field(compare=False, repr=False)
    study_id: int
    name: str
    identity: str
    configuration: dict[str, Any]
    meters: list[dict[str, str]] | None
    facts: dict[str, Any] | None
    queued: bool
    created_at: float

    @cached_property
    def trials(self) -> Trials:
        """Its trials, typed where it is a study of networks."""
        return Trials(self.storage, self.study_id, of_networks=self.facts is not None)

    @cached_property
    def ledger(self) -> Ledger:
        """What it has spent."""
        return Ledger(self.storage, self.study_id)

    @cached_property
    def runs(self) -> Runs:
        """Processes that work or worked on it."""
        return Runs(self.storage, self.study_id)

    @cached_property
    def rungs(self) -> Rungs:
        """What its raced candidates have reached below the whole effort."""
        return Rungs(self.storage, self.study_id)

    @cached_property
    def curves(self) -> Curves:
        """Learning curves of its complete trials."""
        return Curves(self.storage, self.study_id)

    @cached_property
    def pauses(self) -> Pauses:
        """Its waits for cleaner electricity."""
        return Pauses(self.storage, self.study_id)

    @cached_property
    def repeats(self) -> Repeats:
        """Further measurements of finished trials."""
        return Repeats(self.storage, self.study_id)

    @cached_property
    def follow_ups(self) -> FollowUps:
        """Candidates that follow others up."""
        return FollowUps(self.storage, self.study_id)

    @classmethod
    def open(cls, storage: Storage, name: str) -> Self:
        """Finds a study by its name.

        Raises:
            StudyError: There is none of this name, the message lists the nearest; or it is damaged.
        """
        query = sa.select(studies_table).where(studies_table.c.name == name)

        def look(connection: Connection) -> tuple[sa.Row[Any] | None, bool]:
            row = connection.execute(query).one_or_none()
            return row, row is not None and row.study_id in deleted_studies(connection)

        with readable(storage, name):
            row, is_deleted = storage.read(look)
        if is_deleted:
            raise StudyError(
                f"study {name!r} was deleted from {storage.url} through Optuna, such as by its "
                "dashboard: greenfront run with its study file begins it anew"
            )
        if row is None:
            names = study_names(storage)
            near = get_close_matches(name, names, n=3) or names[:3]
            raise StudyError(
                f"study {name!r} does not exist in {storage.url}: "
                + (f"it holds {', '.join(near)}" if near else "it holds no study")
            )
        return cls(
            storage,
            row.study_id,
            row.name,
            row.identity,
            row.configuration,
            row.meters,
            row.facts,
            row.queued,
            row.created_at,
        )

    @classmethod
    def create(
        cls,
        storage: Storage,
        name: str,
        *,
        directions: Sequence[Direction],
        identity: str,
        configuration: dict[str, Any],
        meters: list[dict[str, str]] | None,
        facts: dict[str, Any] | None,
    ) -> Self:
        """Creates the study, or joins it where it exists with the same identity.

        Several processes may call this at once: one creates, the others join.

        Raises:
            StudyError: The name is taken by a study of another identity, or by one that another
                program made.
        """
        import optuna

        forget_deleted(storage)
        storage.read(lambda connection: refuse_foreign(connection, name, storage.url))
        made = optuna.create_study(
            storage=storage.optuna,
            study_name=name,
            directions=list(directions),
            load_if_exists=True,
        )
        held = [direction.name.lower() for direction in made.directions]
        if held != list(directions) and name not in study_names(storage):
            raise StudyError(
                f"study {name!r} in {storage.url} was not made by greenfront and has other "
                f"objectives ({', '.join(held)}): give the new study another name under "
                "[study] name, or another storage"
            )
        row = {
            "study_id": storage.optuna.get_study_id_from_name(name),
            "name": name,
            "identity": identity,
            "configuration": configuration,
            "meters": meters,
            "facts": facts,
            "queued": False,
            "created_at": time.time(),
        }
        # Where it exists already it is joined below.
        with contextlib.suppress(sa.exc.IntegrityError):
            storage.change(sa.insert(studies_table).values(row))
        study = cls.open(storage, name)
        study.require(identity)
        return study

    def require(self, identity: str) -> None:
        """Checks that this is the study that the caller means.

        Raises:
            StudyError: It has another identity.
        """
        if identity != self.identity:
            way_out = (
                "give the new one another name by SearchOptions(name=…), or another storage"
                if self.facts is None
                else "give the new one another name under [study] name, or go on with the old one "
                f"by greenfront resume {self.name}"
            )
            raise StudyError(
                f"study {self.name!r} exists with other settings (space, data, training, "
                f"objectives or seed): {way_out}"
            )

    def store_configuration(self, configuration: dict[str, Any]) -> None:
        """Replaces the configuration, such as by one with a raised budget."""
        self._update(configuration=configuration)

    def store_meters(self, meters: list[dict[str, str]]) -> None:
        """Replaces the pinned instruments by the same ones, seen on a further machine."""
        self._update(meters=meters)

    def mark_queued(self) -> None:
        """Remembers that the first generation has been queued."""
        self._update(queued=True)

    def _update(self, **values: Any) -> None:
        mine = sa.update(studies_table).where(studies_table.c.study_id == self.study_id)
        self.storage.change(mine.values(**values))

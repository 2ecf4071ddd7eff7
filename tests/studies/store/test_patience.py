"""Which errors are outages, how long they are waited for, and what happens once all the same."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError

from greenfront.objectives.carbon.clock import Clock
from greenfront.objectives.readings import Reading
from greenfront.studies.store import patience as module
from greenfront.studies.store.afterwards import Finished, add_finished
from greenfront.studies.store.follow_ups import FollowUp, FollowUps
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.patience import Patience, failure_words, is_away
from greenfront.studies.store.pauses import Pauses
from greenfront.studies.store.rungs import Rung, Rungs
from greenfront.studies.store.runs import Runs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import metadata
from greenfront.studies.store.trials import Start, Trials

STUDY = 1


def error(cause: BaseException, *, lost: bool = False) -> sa.exc.DBAPIError:
    return sa.exc.OperationalError("SELECT", {}, cause, connection_invalidated=lost)


def of_optuna(cause: Exception) -> StorageInternalError:
    raised = StorageInternalError("An exception is raised during the commit.")
    raised.__cause__ = cause
    return raised


REFUSED = psycopg.OperationalError("connection refused")


@pytest.mark.parametrize(
    ("raised", "away"),
    [
        (error(REFUSED), True),
        (of_optuna(error(REFUSED)), True),
        (error(psycopg.OperationalError("server closed the connection"), lost=True), True),
        (error(psycopg.errors.AdminShutdown("terminating")), True),
        (error(psycopg.errors.CannotConnectNow("starting up")), True),
        (error(psycopg.errors.TooManyConnections("sorry, too many clients already")), True),
        (error(psycopg.OperationalError('FATAL: database "x" does not exist')), False),
        (error(psycopg.OperationalError("FATAL: password authentication failed")), False),
        (error(psycopg.errors.DiskFull("could not extend file")), False),
        (error(sqlite3.OperationalError("database is locked")), False),
        (sa.exc.IntegrityError("INSERT", {}, psycopg.errors.UniqueViolation("twice")), False),
        (of_optuna(sa.exc.PendingRollbackError("Can't reconnect", code="8s2b")), True),
        (ValueError("a bug"), False),
    ],
    ids=lambda value: value if isinstance(value, bool) else None,
)
def test_what_is_an_outage(raised: Exception, away: bool) -> None:
    assert is_away(raised) is away


def test_a_full_disk_is_called_so() -> None:
    full = error(psycopg.errors.DiskFull("could not extend file"))
    assert failure_words(full).startswith("the disk of the database is full (could not extend")
    assert failure_words(of_optuna(full)) == failure_words(full)
    assert failure_words(error(REFUSED)).startswith("the database did not answer (connection ref")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 1e-4)
    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 1e-3)


def failing(times: int) -> Callable[[bool], list[bool]]:
    """Fails some times, then gives what it was told at each."""
    told: list[bool] = []

    def work(again: bool) -> list[bool]:
        told.append(again)
        if len(told) <= times:
            raise error(REFUSED)
        return told

    return work


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("times", "notes"), [(0, 0), (1, 0), (2, 2), (9, 2)])
def test_it_is_waited_for_and_said_once_at_each_end(times: int, notes: int) -> None:
    said: list[str] = []
    patience = Patience()
    patience.begin(10, said.append)
    assert patience.outlast(failing(times)) == [False] + [True] * times
    assert len(said) == notes
    assert patience.losses == bool(times)
    if notes:
        assert "up to 10 minutes" in said[0]
        assert "answers again" in said[1]


@pytest.mark.usefixtures("quick")
def test_patience_ends() -> None:
    without = Patience()
    with pytest.raises(sa.exc.OperationalError):
        without.outlast(failing(1))
    short = Patience()
    short.begin(1e-5)
    with pytest.raises(sa.exc.OperationalError):
        short.outlast(failing(10**6))
    stopped, stop = Patience(), threading.Event()
    stopped.begin(10)
    stop.set()
    with pytest.raises(sa.exc.OperationalError), stopped.until(stop):
        stopped.outlast(failing(10**6))
    with pytest.raises(ValueError, match="a bug"):
        stopped.outlast(lambda _again: int("a bug"))


@pytest.fixture
def doubtful(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """A storage whose every transaction is committed, and its first answer lost."""
    storage.patience.begin(10)
    writing, commits = Storage.writing, [0]

    @contextlib.contextmanager
    def losing(opened: Storage) -> Iterator[sa.Connection]:
        with writing(opened) as connection:
            yield connection
        commits[0] += 1
        if commits[0] % 2:
            raise error(psycopg.OperationalError("the connection is lost"), lost=True)

    monkeypatch.setattr(Storage, "writing", losing)
    yield storage
    assert commits[0] > 1


def counts(storage: Storage) -> dict[str, int]:
    """How many rows each of our tables holds, where it holds any."""
    with storage.reading() as connection:
        found = {
            table.name.removeprefix("greenfront_"): connection.execute(
                sa.select(sa.func.count()).select_from(table)
            ).scalar_one()
            for table in metadata.sorted_tables
        }
    return {name: count for name, count in found.items() if count}


READING = Reading(1.0, 1.0, 1.0, "measured", "the test", 1.0, 1.0)


def signed_in(storage: Storage) -> Any:
    run = Runs(storage, STUDY).begin()
    run.beat()
    run.end()
    return len(Runs(storage, STUDY).dead())


def claimed(storage: Storage) -> Any:
    trials = Trials(storage, STUDY)
    first = trials.claim("a", 0, "x", {}, 2)
    return first, trials.claim("a", 1, "x", {}, 2), trials.claim("a", 2, "y", {}, 2)


def finished(storage: Storage) -> Any:
    trials = Trials(storage, STUDY)
    trials.claim("a", 0, "x", {}, None)
    ours = trials.finish("a", 0, "complete", values=[1.0])
    return ours, trials.finish("a", 0, "failed"), trials.finish("b", 0, "complete")


def taken(storage: Storage) -> Any:
    trials = Trials(storage, STUDY)
    trials.claim("dead", 0, "x", {}, None)
    trials.requeue(["dead"])
    return trials.claim("a", 1, "x", {}, None), trials.counts()["running"]


def raced(storage: Storage) -> Any:
    trials, rungs = Trials(storage, STUDY), Rungs(storage, STUDY)
    trials.claim("a", 0, "x", {}, None, Start(0, {}))
    kept = rungs.finish("a", 0, Rung("x", 0, (1.0,), (), 1.0), pause=True)
    (slot,) = trials.progress(0)
    other = rungs.promote("b", slot, 1, 1, None)
    return kept, other, rungs.promote("a", slot, 2, 1, None), len(rungs.since(0)[1])


def dropped(storage: Storage) -> Any:
    trials, rungs = Trials(storage, STUDY), Rungs(storage, STUDY)
    trials.claim("a", 0, "x", {}, None, Start(0, {}))
    rungs.finish("a", 0, Rung("x", 0, (1.0,), (), 1.0), pause=True)
    return len(rungs.drop("over")), trials.counts()["dropped"]


def charged(storage: Storage) -> Any:
    ledger = Ledger(storage, STUDY).writer("a", None)
    for number in (0, None):
        for began in (1.0, 2.0):
            ledger.charge(
                "train", {"cpu": READING}, number=number, started_at=began, ended_at=began + 1
            )
    entries = Ledger(storage, STUDY).total().entries
    ledger.merge(0)
    return entries, Ledger(storage, STUDY).total().entries


def waited(storage: Storage) -> Any:
    pauses = Pauses(storage, STUDY)
    writer = pauses.writer("a", Clock())
    writer.end(writer.begin(None, 1.0, "dirty"), 2.0)
    return [pause.span for pause in pauses.all()]


def followed(storage: Storage) -> Any:
    follow_ups = FollowUps(storage, STUDY)
    mine = FollowUp("new", "x", True, "too dear", {})
    return follow_ups.add(mine), follow_ups.add(FollowUp("new", "y", True, "too dear", {}))


def made(storage: Storage) -> Any:
    trials = Trials(storage, STUDY)
    one = Finished(0, "x", {}, "complete", (1.0,), None, None, 1.0)
    return add_finished(trials, "a", one), add_finished(trials, "b", replace(one, number=1))


@pytest.mark.parametrize(
    ("work", "found", "rows"),
    [
        (signed_in, 1, {"runs": 1}),
        (claimed, ("granted", "duplicate", "granted"), {"trials": 2}),
        (finished, (True, False, False), {"trials": 1}),
        (taken, ("granted", 1), {"trials": 1}),
        (raced, (True, "granted", "duplicate", 1), {"trials": 1, "rungs": 1}),
        (dropped, (1, 1), {"trials": 1, "rungs": 1}),
        (charged, (4, 3), {"ledger": 3}),
        (waited, [(1.0, 2.0)], {"pauses": 1}),
        (followed, (True, False), {"follow_ups": 1}),
        (made, (True, False), {"trials": 1}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_lost_answer_is_not_a_lost_change(
    doubtful: Storage, work: Callable[[Storage], Any], found: Any, rows: dict[str, int]
) -> None:
    assert work(doubtful) == found
    assert counts(doubtful) == rows

"""A database server that goes away in the middle of a search, and comes back."""

from __future__ import annotations

import contextlib
import gc
import random
import threading
import time
from collections.abc import Iterator

import optuna
import pytest
import sqlalchemy as sa

from contracts.observers import Listener
from contracts.postgres import Server
from contracts.problems import ZDT1
from contracts.waiting import PATIENCE_SECONDS, eventually
from greenfront import PlainChoice, optimize_problem
from greenfront.objectives.context import TrialContext
from greenfront.search.optimize import SearchOptions, SearchResult
from greenfront.search.problem import Evaluation
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import ledger_table, trials_table

# A connection that was cut need not have been closed on this side.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning"),
]


@pytest.fixture
def url(server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    engine = sa.create_engine(server.url(), isolation_level="AUTOCOMMIT")
    name = f"study_{abs(hash(request.node.name))}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    yield server.url(name)
    gc.collect()  # while what it says of connections is not an error


class Moment:
    """An evaluation that has begun, and ends when it may."""

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()


class Slow(ZDT1):
    """Lets something happen in the middle of an evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.evaluated: list[str] = []
        self.lock = threading.Lock()
        self.moments: dict[int, Moment] = {}

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        with self.lock:
            self.begun += 1
            moment = self.moments.get(self.begun)
        if moment is not None:
            moment.begun.set()
            moment.over.wait(PATIENCE_SECONDS)
        time.sleep(0.02)
        self.evaluated.append(candidate.key)
        return super().evaluate(candidate, context)


def check(url: str, trials: int, problem: Slow | None = None) -> None:
    """Exactly the trials that were asked for, and each entry of the ledger once."""
    storage = Storage(url, create=False)
    try:
        rows = storage.rows(sa.select(trials_table))
        charged = storage.rows(sa.select(ledger_table.c.number).order_by(ledger_table.c.number))
    finally:
        storage.close()
    assert [row.state for row in rows] == ["complete"] * trials
    assert sorted(row.slot for row in rows) == list(range(trials))
    assert len({row.key for row in rows}) == trials
    assert [number for (number,) in charged] == sorted(row.number for row in rows)
    study = optuna.load_study(study_name="study", storage=url)
    told = {trial.number: trial for trial in study.trials}
    assert {row.number: list(row.values) for row in rows} == {
        number: trial.values for number, trial in told.items() if trial.values is not None
    }
    assert all(trial.state.is_finished() for trial in told.values())
    if problem is not None:  # nothing was done twice
        assert sorted(problem.evaluated) == sorted(row.key for row in rows)


def wait_for_notes(screen: Listener, count: int) -> None:
    eventually(lambda: len(screen.notes) >= count, f"{count} notes")


def test_a_server_that_is_stopped_and_started_twice(server: Server, url: str) -> None:
    """A crash in the middle of a run of two workers, and another one."""
    problem, screen = Slow(), Listener()
    first, second = problem.moments[10], problem.moments[30] = Moment(), Moment()
    results: list[SearchResult] = []

    def search() -> None:
        options = SearchOptions(workers=2, observer=screen)
        results.append(optimize_problem(problem, trials=50, storage=url, options=options))

    thread = threading.Thread(target=search)
    thread.start()
    try:
        for moment, notes in ((first, 1), (second, 3)):
            assert moment.begun.wait(PATIENCE_SECONDS)
            server.stop()
            moment.over.set()  # not before: all else might be finished
            wait_for_notes(screen, notes)
            server.start()
    finally:
        first.over.set()
        second.over.set()
        thread.join(PATIENCE_SECONDS)
    assert results
    assert results[0].reason == "all 50 trials are finished"
    check(url, 50, problem)
    assert [said.partition(" (")[0].partition(" after")[0] for said in screen.notes] == [
        "the database does not answer",
        "the database answers again",
    ] * 2


@contextlib.contextmanager
def cut_connections(url: str, begun: threading.Event, enough: threading.Event) -> Iterator[None]:
    """Ends connections to a database at random moments, once something has begun."""
    over, draw, cut = threading.Event(), random.Random(1), 0
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    others = sa.text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def cut_now() -> None:
        nonlocal cut
        begun.wait(PATIENCE_SECONDS)
        with engine.connect() as connection:
            while not over.wait(draw.uniform(0.05, 0.4)):
                cut += connection.scalar(others) or 0
                if cut > 10:
                    enough.set()

    thread = threading.Thread(target=cut_now)
    thread.start()
    try:
        yield
    finally:
        begun.set()
        enough.set()
        over.set()
        thread.join()
        engine.dispose()


def test_connections_that_are_cut_at_random_moments(url: str) -> None:
    problem = Slow()
    first, last = problem.moments[1], problem.moments[100] = Moment(), Moment()
    first.over.set()
    with cut_connections(url, first.begun, enough=last.over):
        options = SearchOptions(workers=2)
        optimize_problem(problem, trials=120, storage=url, options=options)
        assert last.over.is_set()  # more than ten were cut
    check(url, 120, problem)

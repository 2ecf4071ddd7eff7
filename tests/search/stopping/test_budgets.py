"""Budgets hold over workers, kills and restarts, to within an epoch."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from contracts.problems import begun_study, plain
from contracts.simulated_time import SimulatedTime
from contracts.waiting import PATIENCE_SECONDS, eventually
from greenfront import PlainChoice, Problem, Real, SearchSpace, optimize_problem
from greenfront.errors import GreenfrontError
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.context import TrialContext
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.search.optimize import SearchOptions, search_study
from greenfront.search.problem import Evaluation, Objective
from greenfront.search.settings import SearchSettings
from greenfront.search.stopping import budget_watch
from greenfront.studies.config.budget import Budget
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

EPOCH_KWH = 1e-6
EPOCHS = 10


class Slow(Problem[PlainChoice]):
    """Ten epochs, each charged when it is over and then told."""

    space = SearchSpace((Real("x", 0, 1),), decode=plain)
    objectives = (Objective("loss"), Objective("cost"))

    def __init__(self, between: Callable[[], None] = lambda: None) -> None:
        self.between = between

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        joules = EPOCH_KWH * JOULES_PER_KWH
        spent = Reading(joules, joules, joules, "modelled", "the test", 0.0, 0.0)
        for epoch in range(EPOCHS):
            self.between()
            now = time.time()
            context.charge("train", {"cpu": spent}, now, now)
            context.progress(f"epoch {epoch + 1}")
        x = float(candidate.values["x"])
        return Evaluation((x, 1 - x), EPOCHS * EPOCH_KWH)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


@contextlib.contextmanager
def opened(url: str) -> Iterator[Study]:
    # Closed in any case: a child forked beside an open connection believes that it has its locks.
    with contextlib.closing(Storage(url, create=False)) as storage:
        yield Study.open(storage, "study")


def test_a_running_trial_is_stopped_between_epochs_and_goes_on_later(url: str) -> None:
    first = optimize_problem(Slow(), budget_kwh=24.5 * EPOCH_KWH, storage=url)
    assert first.reason == "the energy budget of 2.45e-05 kWh is spent"
    assert first.spent.kwh == pytest.approx(25 * EPOCH_KWH)
    assert [row.state for row in first.trials] == ["complete", "complete", "requeued"]
    with opened(url) as study:
        assert study.ledger.by("state")["interrupted"].kwh == pytest.approx(5 * EPOCH_KWH)
    again = optimize_problem(Slow(), budget_kwh=50.5 * EPOCH_KWH, storage=url)
    assert [row.key for row in again.trials][:2] == [row.key for row in first.trials][:2]
    interrupted = first.trials[2]
    (finished,) = [row for row in again.trials if row.key == interrupted.key]
    assert finished.state == "complete"
    assert again.spent.kwh == pytest.approx(51 * EPOCH_KWH)


def test_carbon_is_a_budget_too(url: str) -> None:
    storage = Storage(url)
    study = Study.create(
        storage,
        "study",
        directions=Slow().directions,
        identity=Slow().identity(),
        configuration={},
        meters=None,
        facts=None,
    )
    carbon = CarbonModel(Intensity(500.0, "nowhere", "the test"))
    a_gram = SearchSettings(
        budget=Budget(trials=None, co2_kg=33.5 * EPOCH_KWH * 0.5), carbon=carbon
    )
    result = search_study(Slow(), study, a_gram)
    storage.close()
    assert "carbon budget" in result.reason
    assert result.spent.kwh == pytest.approx(34 * EPOCH_KWH)


def test_time_is_up_between_epochs_and_counts_over_all_runs(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SimulatedTime(monkeypatch)
    now.workers = 1
    options = SearchOptions(budget_minutes=0.5 / 60)
    result = optimize_problem(Slow(lambda: now.sleep(0.1)), trials=50, storage=url, options=options)
    assert "time budget" in result.reason
    with opened(url) as study:
        assert study.runs.active_minutes() >= 0.5 / 60
    assert len(result.trials) < 50
    assert "requeued" in {row.state for row in result.trials}
    again = optimize_problem(Slow(), trials=50, storage=url, options=options)
    assert [row.key for row in again.trials] == [row.key for row in result.trials]
    assert again.spent == result.spent


def test_a_clock_that_is_set_spends_no_budget(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, shift = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + shift[0])
    days = iter([86_400.0, -172_800.0, 86_400.0] * 100)

    def set_the_clock() -> None:
        shift[0] += next(days)

    options = SearchOptions(budget_minutes=5)
    for trials in (2, 4):
        result = optimize_problem(Slow(set_the_clock), trials=trials, storage=url, options=options)
        assert [row.state for row in result.trials] == ["complete"] * trials
    with opened(url) as study:
        assert 0 < study.runs.active_minutes() < 2


CARBON = CarbonModel(Intensity(500.0, "nowhere", "the test"))
KG_AN_EPOCH = 0.5 * EPOCH_KWH


def _work(
    url: str, budget: Budget, between: Callable[[], object] = lambda: time.sleep(0.01)
) -> None:
    storage = Storage(url)
    problem = Slow(between)
    with contextlib.closing(storage):
        study = begun_study(storage, problem)
        search_study(problem, study, SearchSettings(budget=budget, carbon=CARBON))


FORK = multiprocessing.get_context("fork")


def start(url: str, budget: Budget, *between: Callable[[], object]) -> ForkProcess:
    process = FORK.Process(target=_work, args=(url, budget, *between))
    process.start()
    return process


def wait_until_spent(url: str, kwh: float) -> None:
    eventually(lambda: _spent(url) >= kwh, f"{kwh:g} kWh in the ledger")


@pytest.mark.parametrize(
    "budget",
    [
        Budget(trials=1000, kwh=100.5 * EPOCH_KWH),
        Budget(trials=1000, co2_kg=100.5 * KG_AN_EPOCH),
        Budget(trials=9),
    ],
    ids=["energy", "carbon", "trials"],
)
def test_budgets_hold_with_three_workers_killed_and_restarted(
    url: str, budget: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each of them looks at each epoch: a test that gives permits has no pace.
    monkeypatch.setattr(budget_watch, "HASTE", math.inf)
    _work(url, Budget(trials=1))  # makes the tables
    chance, permits = random.Random(1), FORK.Semaphore(0)

    def between() -> None:
        permits.acquire()
        time.sleep(0.01)

    workers = [start(url, budget, between) for _ in range(3)]
    for kills in range(1, 4):
        for _ in range(20):
            permits.release()  # of an epoch: no budget is reached before the last kill
        # At any moment, but when some was done: a victim takes a permit with it, at most.
        wait_until_spent(url, (20 * kills - 8) * EPOCH_KWH)
        victim = chance.randrange(3)
        os.kill(workers[victim].pid or 0, signal.SIGKILL)
        workers[victim].join()
        workers[victim] = start(url, budget, between)
    for _ in range(1000):
        permits.release()
    for worker in workers:
        worker.join(PATIENCE_SECONDS)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    _work(url, budget)  # whoever comes last finishes what the killed have left
    with opened(url) as study:
        rows, spent = study.trials.all(), study.ledger.total().kwh / EPOCH_KWH
    assert len({row.key for row in rows}) == len(rows)
    if budget.trials == 9:
        assert [row.state for row in rows] == ["complete"] * 9
    else:
        assert 100.5 <= spent < 101 + 3.01  # each worker that was at work ends its epoch


def test_minutes_are_a_budget_with_killed_workers_too(url: str) -> None:
    """They are killed at their work, one after the other, and count until they were last heard."""
    endless = Budget(trials=None)
    for _ in range(3):
        enough = _spent(url) + 4.5 * EPOCH_KWH
        worker = start(url, endless)
        try:
            wait_until_spent(url, enough)
        finally:
            os.kill(worker.pid or 0, signal.SIGKILL)
            worker.join()
    with opened(url) as study:
        before = study.runs.active_minutes()
        assert len(study.runs.dead()) == 3
    budget = Budget(trials=None, minutes=before + 1 / 60)
    last = [start(url, budget) for _ in range(2)]
    try:
        for worker in last:
            worker.join(PATIENCE_SECONDS)
        assert [worker.exitcode for worker in last] == [0, 0]
    finally:
        for worker in last:
            worker.kill()
    with opened(url) as study:
        worked, spent = study.runs.active_minutes(), study.ledger.total().kwh
    assert worked >= before + 1 / 60
    _work(url, budget)  # begins nothing
    with opened(url) as study:
        assert study.ledger.total().kwh == spent


def _spent(url: str) -> float:
    try:
        with opened(url) as study:
            return study.ledger.total().kwh
    except GreenfrontError:  # the first worker has yet to make the tables
        return 0.0

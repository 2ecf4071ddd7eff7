"""Trials that fail, and runs that are interrupted or die."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa

from contracts.problems import Menu, fail, stop
from contracts.waiting import PATIENCE_SECONDS
from greenfront import PlainChoice, optimize_problem
from greenfront.errors import SearchAborted, TrialFailed
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.instruments import detect
from greenfront.search.optimize import SearchOptions
from greenfront.search.problem import Evaluation
from greenfront.search.runs import heartbeat
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import SearchSpace
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.runs import Run
from greenfront.studies.store.storage import Storage


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def test_failed_trials_count_and_are_told(url: str) -> None:
    causes = iter(["one", "two"] * 50)

    def sometimes(candidate: PlainChoice) -> None:
        if candidate.values["dish"] == "a":
            raise TrialFailed(next(causes), "as the test wants it")

    result = optimize_problem(Menu(before=sometimes), trials=12, storage=url)
    failed = [row for row in result.trials if row.candidate["dish"] == "a"]
    assert failed
    assert len(result.trials) == 12
    assert all(row.state == "failed" and row.values is None for row in failed)
    assert all("as the test wants it" in (row.reason or "") for row in failed)
    study = optuna.load_study(study_name="study", storage=url)
    states = {trial.number: trial.state for trial in study.trials}
    assert all(states[row.number] == optuna.trial.TrialState.FAIL for row in failed)


def test_three_failures_in_a_row_of_one_cause_end_the_study(url: str) -> None:
    problem = Menu(before=fail("diverged"))
    with pytest.raises(SearchAborted, match=r"3 trials in a row.*diverged"):
        optimize_problem(problem, trials=10, storage=url)
    study = optuna.load_study(study_name="study", storage=url)
    assert [t.state for t in study.trials] == [optuna.trial.TrialState.FAIL] * 3
    # Mended, it goes on, and the failures still count.
    result = optimize_problem(Menu(), trials=10, storage=url)
    assert [row.state for row in result.trials].count("complete") == 7


def test_a_full_disk_ends_the_search_and_its_trial_is_tried_again(url: str) -> None:
    def full(candidate: PlainChoice) -> None:
        raise SearchAborted("disk full: the cache takes no more files")

    with pytest.raises(SearchAborted, match="disk full"):
        optimize_problem(Menu(before=full), trials=4, storage=url)
    result = optimize_problem(Menu(), trials=4, storage=url)
    assert [row.state for row in result.trials] == ["complete"] * 4


def test_three_failures_of_different_causes_do_not() -> None:
    causes = iter(["one", "two", "three"] * 9)

    def always(candidate: PlainChoice) -> None:
        raise TrialFailed(next(causes), "as the test wants it")

    result = optimize_problem(Menu(before=always), trials=6)
    assert [row.state for row in result.trials] == ["failed"] * 6


def test_stopped_trials_count_and_are_no_failures() -> None:
    result = optimize_problem(Menu(before=stop), trials=6)
    assert [row.state for row in result.trials] == ["stopped"] * 6
    assert {t.state for t in result.study.trials} == {optuna.trial.TrialState.PRUNED}


def test_values_that_are_not_finite_fail() -> None:
    class Endless(Menu):
        def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
            if candidate.values["dish"] == "a":
                return Evaluation((float("nan"), 1.0), 0.0)
            return super().evaluate(candidate, context)

    result = optimize_problem(Endless(), trials=8)
    states = {row.candidate["dish"]: row.state for row in result.trials}
    assert states == {"a": "failed", "b": "complete"}
    reasons = {row.reason for row in result.trials if row.state == "failed"}
    assert reasons == {"the values (nan, 1.0) are not finite"}


def test_an_error_of_the_problem_itself_is_raised() -> None:
    def broken(candidate: PlainChoice) -> None:
        raise ZeroDivisionError("a bug in the user's problem")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        optimize_problem(Menu(before=broken), trials=6)


def test_a_database_that_is_away_for_a_moment_ends_no_heartbeat(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = itertools.count()
    beaten = threading.Event()
    real = Run.beat

    def beat(run: Run) -> None:
        number = next(beats)
        if number == 0:
            raise sa.exc.OperationalError("UPDATE", {}, RuntimeError("server closed"))
        real(run)
        beaten.set()

    monkeypatch.setattr(Run, "beat", beat)
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(LedgerWriter, "merge", lambda ledger, number: None)  # to count entries

    def wait(candidate: PlainChoice) -> None:
        assert beaten.wait(PATIENCE_SECONDS)

    result = optimize_problem(
        Menu(before=wait), trials=2, storage=url, options=SearchOptions(instruments=detect())
    )
    assert len(result.trials) == 2
    storage = Storage(url, create=False)
    search = Ledger(storage, 1).by("phase")["search"]
    storage.close()
    assert search.entries >= 2  # what the first beat could not write came with the second


class Killed(BaseException):
    """Stands for kill -9: nothing in the engine may catch it on the way out of a write."""


@pytest.mark.parametrize("where", ["claim", "finish", "tell"])
def test_a_death_between_any_two_writes_loses_nothing(
    url: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cuts the engine off after a write of the sixth trial, then resumes."""
    from greenfront.search.trials import ends as module
    from greenfront.studies.store.runs import Run
    from greenfront.studies.store.trials import Trials

    calls = 0

    def dying(original: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            nonlocal calls
            answer = original(*args, **named)
            calls += 1
            if calls == 6:
                raise Killed
            return answer

        return call

    with monkeypatch.context() as patch:
        if where == "tell":
            patch.setattr(module, "tell", dying(module.tell))
        else:
            patch.setattr(Trials, where, dying(getattr(Trials, where)))
        with pytest.raises(Killed):
            optimize_problem(Menu(), trials=12, storage=url)
    assert Run  # the run has signed out, as it would be found dead after a kill

    result = optimize_problem(Menu(), trials=12, storage=url)
    assert [row.state for row in result.trials] == ["complete"] * 12
    assert len({row.key for row in result.trials}) == 12
    assert [row.slot for row in sorted(result.trials, key=lambda r: r.slot)] == list(range(12))
    study = optuna.load_study(study_name="study", storage=url)
    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    assert sorted(t.number for t in complete) == sorted(row.number for row in result.trials)
    assert not [t for t in study.trials if not t.state.is_finished()]


def test_an_interrupt_waits_for_the_worker(url: str) -> None:
    # Interrupted, Thread.join takes a running thread for ended, and all would be closed under it.
    ended = []

    def interrupt(candidate: PlainChoice) -> None:
        del candidate
        if len(problem.tried) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
            ended.append(threading.current_thread().name)

    problem = Menu(before=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            optimize_problem(problem, trials=20, storage=url)
        assert len(ended) == 1
    finally:
        signal.signal(signal.SIGINT, before)
    assert [row.state for row in optimize_problem(Menu(), trials=4, storage=url).trials] == [
        "complete"
    ] * 4


def test_an_interrupted_trial_is_queued_again_with_the_same_choice(url: str) -> None:
    def interrupt(candidate: PlainChoice) -> None:
        if len(problem.tried) == 4:
            raise KeyboardInterrupt

    problem = Menu(before=interrupt)
    with pytest.raises(KeyboardInterrupt):
        optimize_problem(problem, trials=10, storage=url)
    storage = Storage(url, create=False)
    with storage.reading() as connection:
        left = connection.execute(
            sa.text("SELECT key FROM greenfront_trials WHERE state = 'requeued'")
        ).scalar_one()
    assert Ledger(storage, 1).total().entries == 4
    storage.close()
    second = Menu()
    result = optimize_problem(second, trials=10, storage=url)
    assert second.tried[0] == left
    assert len(result.trials) == 10


@pytest.mark.parametrize("known", [False, True])
def test_what_was_interrupted_is_taken_up_although_its_settings_make_another_choice(
    url: str, known: bool
) -> None:
    """Its slot stayed queued: the search asked without end for what nothing made any more."""
    first = [{"dish": "b", "heat": 1, "spice": 0}, {"dish": "b", "heat": 2, "spice": 0}]

    def full(candidate: PlainChoice) -> None:
        if candidate.values["heat"] == 2:
            raise SearchAborted("disk full")

    with pytest.raises(SearchAborted, match="disk full"):
        optimize_problem(Menu(before=full, first=first), trials=4, storage=url)
    changed = Menu(first=first)

    def decode(point: Point) -> PlainChoice:
        if point.get("heat") == 2:
            return PlainChoice({**point, "heat": 1 if known else 99})
        return PlainChoice(dict(point))

    changed.space = SearchSpace(changed.space.knobs, decode=decode)
    result = optimize_problem(changed, trials=4, storage=url)
    second = next(row for row in result.trials if row.slot == 1)
    assert second.state == ("failed" if known else "complete")
    assert second.candidate["heat"] == (2 if known else 99)
    assert len(result.trials) == 4

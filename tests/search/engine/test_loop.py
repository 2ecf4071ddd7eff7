from __future__ import annotations

import threading
from pathlib import Path

import moocore
import numpy as np
import optuna
import pytest

from contracts.observers import Listener
from contracts.problems import SPENT_KWH, ZDT1, Menu
from contracts.waiting import PATIENCE_SECONDS
from greenfront import PlainChoice, optimize_problem
from greenfront.errors import StudyError, TrialStopped
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.instruments import detect
from greenfront.search.engine.workers import Workers
from greenfront.search.optimize import SearchOptions
from greenfront.search.problem import Evaluation
from greenfront.search.status import Status
from greenfront.studies.store.ledger import Ledger, Spent
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.trials import PlainTrial


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def test_finds_the_known_front_of_a_conditional_space() -> None:
    result = optimize_problem(Menu(), trials=27, seed=0)
    values = np.array([Menu.values(point) for point in Menu().points()])
    losses = values * [-1, 1]
    front = {tuple(v) for v in values[moocore.is_nondominated(losses, keep_weakly=True)]}
    assert {tuple(trial.values) for trial in result.study.best_trials} == front


def test_curve_ends_at_the_hypervolume_of_the_front() -> None:
    result = optimize_problem(ZDT1(), trials=60, seed=0)
    values = np.array([row.values for row in result.trials])
    assert result.curve[-1].hypervolume == pytest.approx(
        moocore.hypervolume(values, ref=[1.1, 1.1])
    )
    volumes = [step.hypervolume for step in result.curve]
    assert volumes == sorted(volumes)
    assert [step.finished for step in result.curve] == list(range(1, 61))


def test_spent_energy_is_charged_once() -> None:
    result = optimize_problem(ZDT1(), trials=20)
    assert result.spent.kwh == pytest.approx(20 * SPENT_KWH, rel=1e-9)
    assert result.curve[-1].kwh_spent == pytest.approx(20 * SPENT_KWH, rel=1e-9)


def test_first_generation_comes_first_and_in_order() -> None:
    first = [
        {"dish": "b", "heat": 3, "spice": 0},
        {"dish": "a", "size": 2, "spice": 2},
        {"dish": "b", "heat": 6, "spice": 1},
    ]
    result = optimize_problem(Menu(first=first), trials=5)
    assert [row.candidate for row in result.trials[:3]] == first


def test_first_generation_goes_on_when_the_budget_is_raised(url: str) -> None:
    points = Menu().points()
    assert len(optimize_problem(Menu(first=points), trials=4, storage=url).trials) == 4
    result = optimize_problem(Menu(first=points), trials=9, storage=url)
    assert [row.candidate for row in result.trials] == points[:9]


def test_a_duplicate_is_told_what_its_twin_has_found_and_never_evaluated(url: str) -> None:
    point = {"dish": "b", "heat": 3, "spice": 0}

    def ask_again(candidate: PlainChoice) -> None:
        if not problem.tried:
            optuna.load_study(study_name="study", storage=url).enqueue_trial(point)

    problem = Menu(before=ask_again, first=[point])
    result = optimize_problem(problem, trials=3, storage=url)
    assert len(problem.tried) == len(set(problem.tried)) == 3
    first, twin = result.study.trials[:2]
    assert first.params == twin.params == point
    assert first.values == twin.values == list(Menu.values(point))
    assert twin.user_attrs == {"greenfront:duplicate": result.trials[0].key}
    assert [row.number for row in result.trials] == [0, 2, 3]


def test_a_study_goes_on_where_it_stopped(url: str) -> None:
    first = optimize_problem(Menu(), trials=6, storage=url)
    second = optimize_problem(Menu(), trials=14, storage=url)
    assert [row.key for row in second.trials[:6]] == [row.key for row in first.trials]
    assert len(second.trials) == 14
    again = optimize_problem(Menu(), trials=14, storage=url)
    assert again.trials == second.trials
    assert again.spent == second.spent


def test_a_name_that_another_study_has_is_refused(url: str) -> None:
    optimize_problem(Menu(), trials=2, storage=url)
    with pytest.raises(StudyError, match="other settings"):
        optimize_problem(ZDT1(), trials=2, storage=url)


def test_energy_budget_ends_the_search() -> None:
    result = optimize_problem(ZDT1(), budget_kwh=9.5 * SPENT_KWH)
    assert len(result.trials) == 10
    assert "energy budget" in result.reason


def test_time_budget_ends_the_search(url: str) -> None:
    result = optimize_problem(
        ZDT1(), trials=5, storage=url, options=SearchOptions(budget_minutes=1e-9)
    )
    assert result.trials == ()
    assert "time budget" in result.reason


def test_hopeless_candidates_are_known_from_the_archive() -> None:
    asked: list[str | None] = []

    class Judged(Menu):
        def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
            values = self.values(candidate.values)
            reason = context.dominated(values)
            asked.append(reason)
            if reason:
                raise TrialStopped(reason)
            return Evaluation(values, 0.0)

    first = [
        {"dish": "a", "size": 2, "spice": 2},
        {"dish": "a", "size": 2, "spice": 1},
        {"dish": "b", "heat": 0, "spice": 0},
    ]
    result = optimize_problem(Judged(first=first), trials=3)
    assert [row.state for row in result.trials] == ["complete", "stopped", "complete"]
    assert "best case (taste 7.00, cost " in (asked[1] or "")


def test_several_workers_share_the_trials(url: str) -> None:
    barrier = threading.Barrier(3, timeout=PATIENCE_SECONDS)

    def together(candidate: PlainChoice) -> None:
        barrier.wait()

    problem = Menu(before=together)
    result = optimize_problem(problem, trials=9, storage=url, options=SearchOptions(workers=3))
    assert len(result.trials) == len({row.key for row in result.trials}) == 9
    assert sorted(problem.tried) == sorted(row.key for row in result.trials)


def test_no_worker_asks_for_more_than_the_slots_that_are_left(url: str) -> None:
    result = optimize_problem(ZDT1(), trials=6, storage=url, options=SearchOptions(workers=12))
    assert len(result.trials) == 6
    states = [trial.state for trial in result.study.get_trials(deepcopy=False)]
    assert states == [optuna.trial.TrialState.COMPLETE] * 6
    assert result.reason == "all 6 trials are finished"


def test_workers_wait_no_longer_than_the_last_of_them_works(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, woken = threading.Semaphore(0), list[bool]()
    wait = Workers.await_end

    def waited(workers: Workers, ends: int, seconds: float) -> bool:
        waiting.release()
        woken.append(wait(workers, ends, 100 * seconds))
        return woken[-1]

    def last(candidate: PlainChoice) -> None:
        assert waiting.acquire(timeout=PATIENCE_SECONDS)
        assert waiting.acquire(timeout=PATIENCE_SECONDS)

    monkeypatch.setattr(Workers, "await_end", waited)
    options = SearchOptions(workers=3)
    optimize_problem(Menu(before=last), trials=1, storage=url, options=options)
    assert len(woken) >= 2
    assert all(woken)


def test_an_observer_sees_every_trial_and_the_end(url: str) -> None:
    class Notebook:
        def __init__(self) -> None:
            self.rows: list[PlainTrial] = []
            self.last: Status | None = None

        def changed(self, status: Status) -> None:
            self.last = status

        def note(self, message: str) -> None:
            raise AssertionError(message)

        def finished(self, row: PlainTrial) -> None:
            self.rows.append(row)

    notebook = Notebook()
    result = optimize_problem(
        Menu(), trials=7, storage=url, options=SearchOptions(observer=notebook)
    )
    assert notebook.rows == list(result.trials)
    assert notebook.last is not None
    assert notebook.last.finished_trials == 7
    assert notebook.last.front_size == len(result.study.best_trials)
    assert notebook.last.kwh_spent == pytest.approx(7 * SPENT_KWH)


def test_figures_beside_a_message_are_not_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    totals = [0]
    total = Ledger.total

    def counted(ledger: Ledger) -> Spent:
        totals[0] += 1
        return total(ledger)

    class Talkative(Menu):
        def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
            for epoch in range(50):
                context.progress(f"epoch {epoch}")
            return super().evaluate(candidate, context)

    monkeypatch.setattr(Ledger, "total", counted)
    listener = Listener()
    optimize_problem(Talkative(), trials=3, options=SearchOptions(observer=listener))
    assert {f"trial 2: epoch {epoch}" for epoch in range(50)} <= set(listener.doing)
    assert totals[0] < 50


def test_the_search_itself_is_metered(url: str) -> None:
    result = optimize_problem(
        ZDT1(), trials=10, storage=url, options=SearchOptions(instruments=detect())
    )
    storage = Storage(url, create=False)
    parts = Ledger(storage, 1).by("phase")
    assert {name: Ledger(storage, 1).of_phase(name) for name in parts} == parts
    storage.close()
    assert parts["search"].kwh > 0
    assert parts["search"].cpu_seconds > 0
    assert parts["evaluate"].kwh == pytest.approx(10 * SPENT_KWH)
    assert result.spent.kwh == pytest.approx(parts["search"].kwh + parts["evaluate"].kwh)


def test_each_worker_has_its_part_of_the_ledger(url: str) -> None:
    result = optimize_problem(
        ZDT1(), trials=12, storage=url, options=SearchOptions(workers=2, instruments=detect())
    )
    storage = Storage(url, create=False)
    parts = Ledger(storage, 1).by("worker")
    storage.close()
    ours = {part.partition(" ")[2] for part in parts}
    assert ours <= {"worker 0", "worker 1", "worker"}
    assert "no worker" in parts
    assert sum(part.kwh for part in parts.values()) == pytest.approx(result.spent.kwh, rel=1e-9)


def test_what_is_not_real_is_on_no_front_and_samplers_learn_it(url: str) -> None:
    class Boasting(Menu):
        """Claims to cost nothing wherever the dish is ``"b"``."""

        def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
            found = super().evaluate(candidate, context)
            if candidate.values["dish"] == "a":
                return found
            return Evaluation((99.0, -1.0), found.spent_kwh, infeasible=("the cost is a claim",))

    result = optimize_problem(Boasting(), trials=27, storage=url)
    states = {row.candidate["dish"]: row.state for row in result.trials}
    assert states == {"a": "complete", "b": "infeasible"}
    boasts = [row for row in result.trials if row.state == "infeasible"]
    assert {(row.values, row.reason) for row in boasts} == {(None, "the cost is a claim")}
    told = {trial.number: trial for trial in result.study.trials}
    for row in result.trials:
        constraints = told[row.number].constraints
        assert (max(constraints.values(), default=0.0) > 0) == (row.state == "infeasible")
    assert {trial.params["dish"] for trial in result.study.best_trials} == {"a"}
    assert result.spent.kwh == pytest.approx(27 * SPENT_KWH)

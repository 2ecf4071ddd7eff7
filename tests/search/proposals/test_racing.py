"""Races of candidates on a real database, in this process."""

from __future__ import annotations

import shutil
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from contracts.problems import SPENT_KWH, Curves
from contracts.waiting import PATIENCE_SECONDS
from greenfront import PlainChoice, optimize_problem
from greenfront.errors import TrialFailed, TrialStopped
from greenfront.search.optimize import SearchOptions
from greenfront.search.proposals import racing
from greenfront.search.samplers.green.state import Decision, RungState, Terrain
from greenfront.studies.store.rungs import Rung
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import Slot


@pytest.fixture
def url(tmp_path: Path, sqlite_template: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "study.db")
    return f"sqlite:///{tmp_path}/study.db"


def read(url: str) -> tuple[list[Slot], list[Rung], list[optuna.trial.FrozenTrial]]:
    storage = Storage(url, create=False)
    study = Study.open(storage, "study")
    slots, (_, rungs) = study.trials.progress(0), study.rungs.since(0)
    storage.close()
    return slots, rungs, optuna.load_study(study_name="study", storage=url).trials


class Scripted:
    """Begins points in their order, and promotes by what a test says."""

    def __init__(
        self,
        terrain: Terrain,
        points: Sequence[dict[str, Any]],
        promote: Callable[[Sequence[RungState]], RungState | None] = lambda states: None,
    ) -> None:
        self.terrain, self.points, self.promote = terrain, points, promote
        self.asked: list[tuple[int, Sequence[RungState]]] = []

    def decide(self, states: Sequence[RungState], decisions_made: int) -> Decision | None:
        self.asked.append((decisions_made, states))
        onward = self.promote(states)
        if onward is not None:
            return Decision(onward.key, onward.point, onward.rung + 1, 1.0)
        known = {state.key for state in states}
        decode = self.terrain.space.decode
        left = [point for point in self.points if decode(point).key not in known]
        return Decision(decode(left[0]).key, left[0], 0, None) if left else None


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Scripted]]:
    def script(*args: Any) -> list[Scripted]:
        made: list[Scripted] = []

        def make(terrain: Terrain, seed: int) -> Scripted:
            made.append(Scripted(terrain, *args))
            return made[-1]

        monkeypatch.setattr(racing, "GreenPolicy", make)
        return made

    return script


def point(size: int, rate: int = 5, bits: int = 32) -> dict[str, Any]:
    return {"size": size, "rate": rate, "bits": bits}


def best_paused(states: Sequence[RungState]) -> RungState | None:
    """The most accurate of those that wait, once four were begun."""
    waiting = [state for state in states if state.status == "paused" and state.losses]
    return min(waiting, key=lambda s: s.losses[-1]) if len(states) >= 4 and waiting else None


def never_twice(trained: Sequence[tuple[str, int, int]]) -> None:
    """Each step of effort was made once."""
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, since, effort in trained:
        spans[key].append((since, effort))
    for key, steps in spans.items():
        assert [since for since, _ in steps] == [0, *(to for _, to in steps[:-1])], key


def test_candidates_are_paused_and_promoted(url: str, scripted: Any) -> None:
    points = [point(size) for size in (1, 2, 3, 4)]
    (policies, problem) = scripted(points, best_paused), Curves()
    result = optimize_problem(problem, trials=2, sampler="green", storage=url)
    assert result.reason == "the effort of 2 whole trials is spent"
    never_twice(problem.trained)
    efforts = [(dict(result.trials[0].candidate), e) for _, _, e in problem.trained]
    assert [effort for _, effort in efforts] == [1, 1, 1, 1, 3, 9, 3, 9]
    slots, rungs, trials = read(url)
    assert [slot.state for slot in slots] == ["dropped", "dropped", "complete", "complete"]
    # The best of the front stand there with the values of the whole effort, and nothing else does.
    assert {tuple(t.values) for t in result.study.best_trials} == {
        Curves.values(p, 9) for p in points[2:]
    }
    assert [t.state for t in trials] == [TrialState.PRUNED] * 2 + [TrialState.COMPLETE] * 2
    reasons = {trial.reason for trial in result.trials if trial.state == "dropped"}
    assert reasons == {"not promoted: the effort of 2 whole trials is spent"}
    # Each rung is kept with what it has cost beyond the one below.
    whole = [rung for rung in rungs if rung.key == slots[3].key]
    assert [rung.kwh for rung in whole] == pytest.approx([4 * n * SPENT_KWH for n in (1, 2, 6)])
    assert [rung.checkpoint for rung in whole] == [{"effort": effort} for effort in (1, 3, 9)]
    assert result.spent.kwh == pytest.approx((1 + 2 + 9 * 3 + 9 * 4) * SPENT_KWH)
    # The policy was told all that, in the order in which candidates were begun.
    made, states = policies[0].asked[-1]
    assert made == 7
    assert [(s.status, s.rung, len(s.kwh)) for s in states] == [
        ("paused", 0, 1),
        ("paused", 0, 1),
        ("paused", 1, 2),
        ("complete", 2, 3),
    ]
    assert states[3].values == Curves.values(points[3], 9)
    assert states[2].known == (None, Curves.values(points[2], 9)[1])
    assert [s.finished for s in states] == [(0,), (1,), (2, 6), (3, 4, 5)]


def test_what_is_not_raced_goes_all_the_way_and_leaves_its_rungs(url: str, scripted: Any) -> None:
    scripted([])
    problem = Curves(first=[point(2)], whole=[point(1)])
    result = optimize_problem(problem, sampler="green", storage=url)
    assert result.reason == "no candidate is worth another step"
    slots, rungs, _ = read(url)
    assert [(slot.state, slot.rung) for slot in slots] == [("complete", None), ("dropped", 0)]
    assert [(rung.key, rung.rung) for rung in rungs] == [
        *((slots[0].key, rung) for rung in range(3)),
        (slots[1].key, 0),
    ]
    never_twice(problem.trained)


def test_a_candidate_without_rungs_is_whole_at_once(url: str, scripted: Any) -> None:
    class Fitted(Curves):
        def evaluate(self, candidate: PlainChoice, context: Any) -> Any:
            context.fidelity = 9
            done = super().evaluate(candidate, context)
            return type(done)(done.values, done.spent_kwh, fidelity=9)

    policies = scripted([point(1), point(2)])
    result = optimize_problem(Fitted(), sampler="green", storage=url)
    assert [row.state for row in result.trials] == ["complete"] * 2
    _, states = policies[0].asked[-1]
    # It stands at each rung as it ends, and has paid once.
    assert states[0].losses == (Curves.values(point(1), 9)[0],) * 3
    assert states[0].kwh == (pytest.approx(9 * SPENT_KWH), 0.0, 0.0)


def test_failed_and_stopped_ones_are_closed(url: str, scripted: Any) -> None:
    def before(candidate: PlainChoice, fidelity: int) -> None:
        if candidate.values["size"] == 1:
            raise TrialFailed("diverged", "as the test wants it")
        if candidate.values["size"] == 2 and fidelity == 3:
            raise TrialStopped("hopeless")

    def both(states: Sequence[RungState]) -> RungState | None:
        waiting = [s for s in states if s.status == "paused"]
        return waiting[0] if waiting else None

    policies = scripted([point(1), point(2), point(3)], both)
    result = optimize_problem(Curves(before), sampler="green", storage=url)
    assert [row.state for row in result.trials] == ["failed", "stopped", "complete"]
    statuses = [s.status for s in policies[0].asked[-1][1]]
    assert statuses == ["failed", "failed", "complete"]
    _, _, trials = read(url)
    assert [t.state.name for t in trials] == ["FAIL", "PRUNED", "COMPLETE"]


def test_a_raised_budget_goes_on_with_what_was_dropped(url: str, scripted: Any) -> None:
    points = [point(size) for size in (1, 2, 3, 4)]
    problem = Curves()
    scripted(points, best_paused)
    optimize_problem(problem, trials=1, sampler="green", storage=url)
    result = optimize_problem(problem, trials=3, sampler="green", storage=url)
    states = Counter(row.state for row in result.trials)
    assert states == {"complete": 3, "dropped": 1}
    never_twice(problem.trained)
    _, _, trials = read(url)
    complete = sorted(t.number for t in trials if t.state == TrialState.COMPLETE)
    assert complete == sorted(r.number for r in result.trials if r.state == "complete")
    assert not [t for t in trials if not t.state.is_finished()]


def test_an_energy_budget_is_overshot_by_one_rung_at_most(url: str, scripted: Any) -> None:
    scripted([point(size) for size in range(1, 11)], best_paused)
    result = optimize_problem(Curves(), sampler="green", budget_kwh=20 * SPENT_KWH, storage=url)
    assert "energy budget" in result.reason
    dearest = max(rung.kwh for rung in read(url)[1])
    assert 20 * SPENT_KWH <= result.spent.kwh <= 20 * SPENT_KWH + dearest
    assert {row.state for row in result.trials} <= {"complete", "dropped"}


def test_several_workers_share_a_race(url: str, scripted: Any) -> None:
    meeting = threading.Barrier(3, timeout=PATIENCE_SECONDS)

    def together(candidate: PlainChoice, fidelity: int) -> None:
        if fidelity == 1:
            meeting.wait()

    scripted([point(size) for size in range(1, 10)], best_paused)
    problem = Curves(together)
    result = optimize_problem(
        problem, trials=9, sampler="green", storage=url, options=SearchOptions(workers=3)
    )
    never_twice(sorted(problem.trained))
    assert Counter(row.state for row in result.trials)["complete"] == 9


class Killed(BaseException):
    """Stands for kill -9: nothing in the engine may catch it on the way out of a write."""


@pytest.mark.parametrize("where", ["claim", "promote", "rung", "finish", "evaluate"])
def test_a_death_between_any_two_writes_repeats_one_step(
    url: str, where: str, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from greenfront.studies.store.rungs import Rungs
    from greenfront.studies.store.trials import Trials

    places: dict[str, tuple[Any, str, int]] = {
        "claim": (Trials, "claim", 3),
        "promote": (Rungs, "promote", 3),
        "rung": (Rungs, "finish", 6),
        "finish": (Trials, "finish", 1),
        "evaluate": (Curves, "evaluate", 6),
    }
    owner, name, fatal = places[where]
    original, calls = getattr(owner, name), [0]

    def dying(*args: Any, **named: Any) -> Any:
        answer = original(*args, **named)
        calls[0] += 1
        if calls[0] == fatal:
            raise Killed
        return answer

    points = [point(size) for size in (1, 2, 3, 4)]
    scripted(points, best_paused)
    problem = Curves()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dying)
        with pytest.raises(Killed):
            optimize_problem(problem, trials=3, sampler="green", storage=url)
    result = optimize_problem(problem, trials=3, sampler="green", storage=url)
    assert Counter(row.state for row in result.trials) == {"complete": 3, "dropped": 1}
    # At most one step was made twice, and from the same checkpoint.
    again = Counter(problem.trained)
    assert sorted(again.values(), reverse=True)[:2] in ([1, 1], [2, 1])
    never_twice(list(dict.fromkeys(problem.trained)))
    # The same as without the death.
    calm = Curves()
    other = optimize_problem(calm, trials=3, sampler="green")
    assert list(dict.fromkeys(problem.trained)) == calm.trained
    assert [row.values for row in result.trials] == [row.values for row in other.trials]
    _, _, trials = read(url)
    assert not [t for t in trials if not t.state.is_finished()]


def test_shared_rungs_are_known_to_be_cheap(url: str, scripted: Any) -> None:
    asked: list[tuple[float | None, ...]] = []

    def ask(states: Sequence[RungState]) -> RungState | None:
        step = policies[0].terrain.step_kwh
        child = point(1, bits=8)
        asked.append(tuple(step(child, rung) for rung in range(3)))
        waiting = [s for s in states if s.status == "paused"]
        return waiting[0] if waiting else None

    policies = scripted([point(1)], ask)
    optimize_problem(Curves(), sampler="green", storage=url)
    whole = 6 * SPENT_KWH
    assert asked[0] == (None, None, None)
    assert asked[1] == (0.0, None, None)
    assert asked[2] == (0.0, 0.0, None)
    assert asked[3] == (0.0, 0.0, pytest.approx(whole))
    assert policies[0].terrain.step_kwh(point(2), 0) is None


def test_what_others_have_trained_is_not_gone_through_again(url: str, scripted: Any) -> None:
    """A child of a whole training begins at its own last step, one of a rung at the next."""
    policies = scripted([point(1, bits=8), point(2), point(2, bits=8)])
    problem = Curves(whole=[point(1)])
    optimize_problem(problem, sampler="green", storage=url)
    efforts = {
        key: [to for k, _, to in problem.trained if k == key] for key, _, _ in problem.trained
    }
    assert list(efforts.values()) == [[1, 3, 9], [9], [1], [3]]
    _, states = policies[0].asked[-1]
    parent, child, _, paused = states
    assert policies[0].terrain.reached(point(1, bits=8)) == 1
    assert policies[0].terrain.reached(point(3)) == -1
    # It knows what the training lost below, and not what its own graph would have cost there.
    assert child.losses == (*parent.losses[:2], Curves.values(point(1, bits=8), 9)[0])
    assert child.measured[0] == (parent.losses[0], None)
    # What it takes from the start, whoever has paid for it.
    assert sum(child.kwh) >= sum(parent.kwh)
    assert (paused.rung, paused.status, len(paused.kwh)) == (1, "paused", 2)


def test_the_policy_knows_what_stands_outside_of_the_space(url: str, scripted: Any) -> None:
    class Referenced(Curves):
        def reference_candidates(self) -> Sequence[PlainChoice]:
            return [PlainChoice({"size": 1, "rate": 5, "bits": 32, "outside": True})]

        def raced(self, candidate: PlainChoice) -> bool:
            return "outside" not in candidate.values

    policies = scripted([point(2)])
    optimize_problem(Referenced(), sampler="green", storage=url)
    assert policies[0].terrain.beside() == [pytest.approx(Curves.values(point(1), 9))]
    assert [len(states) for _, states in policies[0].asked] == [0, 1]


def test_the_green_sampler_finds_most_of_the_front_for_less(url: str) -> None:
    result = optimize_problem(
        Curves(whole=[point(5)]), sampler="green", storage=url, budget_kwh=400 * SPENT_KWH, seed=1
    )
    plain = optimize_problem(
        Curves(whole=[point(5)]), sampler="random", budget_kwh=400 * SPENT_KWH, seed=1
    )
    ours, theirs = (r.curve[-1].hypervolume or 0.0 for r in (result, plain))
    assert ours > theirs
    assert not [t for t in read(url)[2] if not t.state.is_finished()]

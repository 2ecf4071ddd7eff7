"""The racing sampler's decisions: pure, free of duplicates, and better than chance."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from contracts.problems import Menu
from greenfront.objectives.pareto import hypervolume
from greenfront.search.samplers.green import curves, policy, race
from greenfront.search.samplers.green.policy import GreenPolicy
from greenfront.search.samplers.green.start import STARTS
from greenfront.search.samplers.green.state import Decision, RungState, Terrain
from greenfront.spaces.knobs import Point, Real
from greenfront.spaces.space import PlainChoice, SearchSpace

EFFORT = (0.1, 0.3, 1.0)
SPACE = SearchSpace(
    (Real("size", 0, 1), Real("rate", 0, 1)), decode=lambda point: PlainChoice(dict(point))
)

Answer = Callable[[Point, int], tuple[float, ...]]


def error_and_energy(point: Point, rung: int) -> tuple[float, ...]:
    """Big networks of the right rate err less, and cost more."""
    size, rate = float(point["size"]), float(point["rate"])
    left = 0.3 * (1 - size) ** 2 + (rate - 0.7) ** 2
    return 0.02 + left + 0.3 * (1 - EFFORT[rung]), (0.2 + size) * EFFORT[rung]


def terrain(
    space: SearchSpace[PlainChoice] = SPACE,
    rungs: int = 3,
    worst: tuple[float, ...] = (0.5, 1.2),
    best: tuple[float, ...] | None = (0.0, 0.0),
) -> Terrain:
    effort = EFFORT if rungs == 3 else (1.0,)
    return Terrain(
        space, rungs, effort, lambda _, knobs: knobs, box=lambda _: (worst, best), ideal=0.0
    )


class Search:
    """States in memory; what is decided is trained at once."""

    def __init__(self, ground: Terrain, answer: Answer = error_and_energy, seed: int = 1) -> None:
        self.ground, self.answer = ground, answer
        self.policy = GreenPolicy(ground, seed)
        self.states: dict[str, RungState] = {}
        self.decisions = 0
        self.prices: list[float | None] = []

    def step(self) -> bool:
        decision = self.policy.decide(list(self.states.values()), self.decisions)
        if decision is None:
            return False
        state = self.states.get(decision.key)
        assert decision.rung == (0 if state is None else state.rung + 1)
        assert state is None or state.status == "paused", "what is complete or failed is closed"
        assert self.ground.space.decode(decision.point).key == decision.key
        self.train(decision.key, decision.point, decision.rung)
        self.prices.append(decision.price)
        self.decisions += 1
        return True

    def train(self, key: str, point: Point, rung: int) -> None:
        from greenfront.search.samplers.green.encode import knob_vector

        seen = [self.answer(point, each) for each in range(rung + 1)]
        last = rung == self.ground.rungs - 1
        energy = np.diff([0.0, *(values[1] for values in seen)])
        state = self.states.get(key)
        self.states[key] = RungState(
            key=key,
            point=point,
            description=knob_vector(self.ground.space, point),
            losses=tuple(values[0] for values in seen),
            kwh=tuple(float(each) for each in energy),
            measured=tuple(seen),
            finished=(*(state.finished if state else ()), self.decisions),
            values=seen[-1] if last else None,
            status="complete" if last else "paused",
        )

    def run(self, steps: int) -> Search:
        for _ in range(steps):
            if not self.step():
                break
        return self

    def complete(self) -> list[tuple[float, ...]]:
        return [s.values for s in self.states.values() if s.values is not None]

    def spent(self) -> float:
        return sum(sum(state.kwh) for state in self.states.values())


@pytest.fixture(scope="module")
def searched() -> Search:
    return Search(terrain()).run(60)


def test_it_begins_spread_out_and_then_halves(searched: Search) -> None:
    begun = list(searched.states.values())[:STARTS]
    x = np.array([state.description for state in begun])
    nearest = np.sort(((x[:, None] - x[None]) ** 2).sum(axis=2) ** 0.5, axis=1)[:, 1]
    assert np.median(nearest) > 0.15  # of 16 random points: 0.12
    assert sum(state.rung >= 1 for state in begun) >= STARTS // 4
    assert any(state.status == "complete" for state in begun)


def test_it_finds_the_front_for_less_than_random_search(searched: Search) -> None:
    spent, best = searched.spent(), hypervolume(searched.complete(), (0.5, 1.2))
    rng, volumes = np.random.default_rng(0), []
    for _ in range(10):
        values: list[tuple[float, ...]] = []
        while sum(each[1] for each in values) < 3 * spent:
            values.append(error_and_energy(SPACE.sample(rng), 2))
        volumes.append(hypervolume(values, (0.5, 1.2)))
    assert best > np.median(volumes)


def test_most_candidates_are_not_trained_to_the_end(searched: Search) -> None:
    assert len(searched.complete()) < len(searched.states) / 2


def test_the_same_states_give_the_same_decision_and_stay_as_they_are(searched: Search) -> None:
    states = list(searched.states.values())
    before = copy.deepcopy(states)
    one = GreenPolicy(terrain(), 1).decide(states, 60)
    assert states == before
    assert one == GreenPolicy(terrain(), 1).decide(copy.deepcopy(states), 60)
    assert one is not None
    assert any(
        GreenPolicy(terrain(), seed).decide(states, 60) != one for seed in range(2, 5)
    )  # another seed looks elsewhere


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_what_is_remembered_between_decisions_changes_none(searched: Search, share: float) -> None:
    """Fits begin where earlier ones ended, rankings serve for a while: a restart forgets both."""
    decided = round(share * searched.decisions)
    past = [
        replace(
            state,
            losses=state.losses[:rungs],
            kwh=state.kwh[:rungs],
            measured=state.measured[:rungs],
            finished=state.finished[:rungs],
            values=state.values if rungs == searched.ground.rungs else None,
            status="complete" if rungs == searched.ground.rungs else "paused",
        )
        for state in searched.states.values()
        if (rungs := sum(number < decided for number in state.finished))
    ]
    warm = GreenPolicy(terrain(), 1)
    for number in range(decided - 3, decided):
        warm.decide(past, number)
    remembering = warm.decide(past, decided)
    curves._remembered.cache_clear()
    assert remembering == GreenPolicy(terrain(), 1).decide(past, decided)


def test_the_price_falls_while_the_front_fills_up(searched: Search) -> None:
    priced = [price for price in searched.prices if price is not None]
    assert len(priced) > 20
    assert np.median(priced[-8:]) < 0.5 * np.median(priced[:8])


def test_a_conditional_space_is_tried_out_and_nothing_twice() -> None:
    def answer(point: Point, rung: int) -> tuple[float, ...]:
        taste, cost = Menu.values(point)
        return 9 - taste, cost + 1.0

    ground = terrain(Menu().space, rungs=1, worst=(12.0, 6.0))
    search = Search(ground, answer).run(40)
    assert search.decisions == len(search.states) == 27
    assert not search.step()


def test_a_failed_candidate_is_closed_and_teaches_nothing(searched: Search) -> None:
    states = list(searched.states.values())
    paused = next(n for n, state in enumerate(states) if state.status == "paused")
    decisions = []
    for losses in (states[paused].losses, (1e6,) * len(states[paused].losses)):
        states[paused] = replace(states[paused], losses=losses, status="failed")
        decisions.append([GreenPolicy(terrain(), 1).decide(states, n) for n in range(3)])
    assert decisions[0] == decisions[1]
    assert all(each is not None and each.key != states[paused].key for each in decisions[0])


def test_what_others_train_is_left_alone_and_believed(searched: Search) -> None:
    states = list(searched.states.values())
    decision = GreenPolicy(terrain(), 1).decide(states, 61)
    keys = {state.key for state in states}
    for number in range(61, 67):
        decision = GreenPolicy(terrain(), 1).decide(states, number)
        assert decision is not None
        running = [state.key for state in states if state.status == "running"]
        assert decision.key not in running
        if decision.key in keys:
            at = next(n for n, state in enumerate(states) if state.key == decision.key)
            states[at] = replace(states[at], status="running", running_rung=decision.rung)
        else:
            states.append(
                RungState(
                    decision.key, decision.point, tuple(map(float, decision.point.values())),
                    status="running", running_rung=0,
                )
            )  # fmt: skip
            keys.add(decision.key)
    assert sum(state.status == "running" for state in states) == 6


@pytest.mark.parametrize("best", [(0.0, 0.0, 0.0), None])
def test_three_objectives_of_which_two_coincide(best: tuple[float, ...] | None) -> None:
    def answer(point: Point, rung: int) -> tuple[float, ...]:
        error, energy = error_and_energy(point, rung)
        return error, energy, 0.3 * energy

    worst = (0.5, 1.2, 0.36)
    search = Search(terrain(worst=worst, best=best), answer).run(45)
    plain = Search(terrain(), error_and_energy).run(45)
    assert hypervolume([v[:2] for v in search.complete()], worst[:2]) > 0.9 * hypervolume(
        plain.complete(), worst[:2]
    )


def test_four_objectives_at_a_single_rung() -> None:
    def answer(point: Point, rung: int) -> tuple[float, ...]:
        size, rate = float(point["size"]), float(point["rate"])
        return 0.1 + (1 - size) ** 2, 0.2 + size, abs(rate - 0.5), (rate - size) ** 2 - 0.5

    ground = terrain(rungs=1, worst=(1.2, 1.3, 0.6, 0.6), best=None)
    search = Search(ground, answer).run(30)
    assert len(search.complete()) == 30


def test_candidates_that_wait_for_their_first_rung_come_first(searched: Search) -> None:
    waiting = RungState("queued", {"size": 0.5, "rate": 0.5}, (0.5, 0.5))
    decision = GreenPolicy(terrain(), 1).decide([*searched.states.values(), waiting], 60)
    assert decision is not None
    assert (decision.key, decision.rung, decision.price) == ("queued", 0, None)


def test_steps_that_cost_nothing_and_those_whose_cost_is_known(searched: Search) -> None:
    """Children of a trained parent are nearly free: they come before equals that are not."""
    states = [
        replace(state, kwh=(0.0,) * len(state.kwh)) if n % 3 == 0 else state
        for n, state in enumerate(searched.states.values())
    ]

    def chosen(cheap: Callable[[Point], bool]) -> list[Decision]:
        ground = replace(terrain(), step_kwh=lambda point, _: 1e-4 if cheap(point) else 10.0)
        decided = [GreenPolicy(ground, 1).decide(states, number) for number in range(100, 112)]
        return [each for each in decided if each is not None and each.price is not None]

    large = chosen(lambda point: float(point["size"]) > 0.5)
    small = chosen(lambda point: float(point["size"]) <= 0.5)
    assert all(float(each.point["size"]) > 0.5 for each in large)
    assert all(float(each.point["size"]) <= 0.5 for each in small)


def test_what_a_model_beside_the_space_dominates_wins_nothing(searched: Search) -> None:
    states = list(searched.states.values())

    def prices(*beside: tuple[float, float]) -> list[float]:
        ground = replace(terrain(), beside=lambda: beside)
        decided = [GreenPolicy(ground, 1).decide(states, number) for number in range(60, 66)]
        return [each.price for each in decided if each is not None and each.price is not None]

    assert min(prices()) > 0
    assert max(prices((0.0, 0.0))) == 0
    assert max(prices((0.015, 0.1))) < 0.5 * min(prices())


def test_nothing_is_believed_cheaper_than_the_simplest_models_until_one_was_seen_to_be() -> None:
    """What a candidate of the space takes is a doubt; what a linear model takes is its floor."""
    search = Search(terrain())
    for size in (0.6, 0.9):  # 0.8 and 1.1 of energy
        whole = {"size": size, "rate": 0.3}
        for rung in range(3):
            search.train(SPACE.decode(whole).key, whole, rung)
            search.decisions += 1
    states = list(search.states.values())

    def prices(*beside: tuple[float, float]) -> list[float]:
        ground = replace(terrain(), beside=lambda: beside, proposed=[whole])  # which was begun
        decided = [GreenPolicy(ground, 1).decide(states, number) for number in range(12)]
        return [each.price for each in decided if each is not None and each.price is not None]

    useless = 0.5
    assert prices((useless, 0.81)) == prices()
    assert max(prices((useless, 0.79))) < 0.5 * min(prices())


def test_proposals_take_the_place_of_a_spread_start() -> None:
    """Where something is whole already, what is proposed is looked at from the beginning."""
    proposed = [{"size": 0.9, "rate": 0.7 + shift} for shift in (-0.02, 0.0, 0.02)]
    ground = replace(terrain(), proposed=proposed)
    search = Search(ground)
    for size in (0.2, 0.5):
        baseline = {"size": size, "rate": 0.3}
        for rung in range(3):
            search.train(SPACE.decode(baseline).key, baseline, rung)
            search.decisions += 1
    search.run(12)
    keys = [SPACE.decode(point).key for point in proposed]
    assert list(search.states)[2:5] == keys
    assert len(search.states) < STARTS


def test_a_step_counts_with_what_deciding_on_it_takes(searched: Search) -> None:
    """The dearer it is to ask, the less a kWh is expected to win."""
    states = list(searched.states.values())
    prices = []
    for kwh in (0.0, 1.0, 10.0):
        ground = replace(terrain(), deciding_kwh=lambda kwh=kwh: kwh)
        decision = GreenPolicy(ground, 1).decide(states, 60)
        assert decision is not None
        assert decision.price is not None
        prices.append(decision.price)
    assert prices[0] > prices[1] > prices[2] > 0


def test_fewer_candidates_are_looked_at_where_looking_is_dear(searched: Search) -> None:
    states, looked = list(searched.states.values())[: 2 * STARTS], []
    trained_kwh = sum(sum(state.kwh) for state in states)
    for share in (0.0, 1e-3, 0.1):
        described: list[Point] = []

        def describe(
            point: Point, knobs: tuple[float, ...], seen: list[Point] = described
        ) -> tuple[float, ...]:
            seen.append(point)
            return knobs

        kwh = share * trained_kwh / sum(len(state.losses) for state in states)
        ground = replace(terrain(), describe=describe, deciding_kwh=lambda kwh=kwh: kwh)
        decision = GreenPolicy(ground, 1).decide(states, 60)
        assert decision is not None
        assert decision.price is not None
        looked.append(len(described))
    assert looked[0] == pytest.approx(looked[1], rel=0.1)
    assert looked[2] < 0.85 * looked[0], looked


def test_a_ranking_serves_several_steps_where_deciding_is_dear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []
    for share in (0.0, 0.03, 0.2):
        count = [0]

        def counted(*arguments: Any, count: list[int] = count) -> list[race.Worth]:
            count[0] += 1
            return race.ranked(*arguments)

        monkeypatch.setattr(policy, "ranked", counted)
        search = Search(terrain()).run(2 * STARTS)
        begun, mean_kwh = count[0], search.spent() / search.decisions
        search.policy = GreenPolicy(
            replace(terrain(), deciding_kwh=lambda kwh=share * mean_kwh: kwh), 1
        )
        search.run(12)
        assert len(search.states) == len({state.key for state in search.states.values()})
        made.append(count[0] - begun)
    assert made[0] > 1.5 * made[1] > 1.5 * made[2] > 0, made


def test_a_box_that_spans_what_was_seen_grows_beyond_it() -> None:
    """A problem without a reference: at first there is no box, later one of what is complete."""

    def seen(values: Sequence[tuple[float, ...]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        matrix = np.array(values)
        return tuple(matrix.max(axis=0)), tuple(matrix.min(axis=0))

    search = Search(replace(terrain(), box=seen)).run(60)
    complete = search.complete()
    assert len(complete) > 4
    assert min(error for error, _ in complete) < 0.12
    assert min(energy for _, energy in complete) < 0.4

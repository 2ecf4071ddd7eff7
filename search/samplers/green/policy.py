"""The racing sampler: whom to train one rung further, for the most hypervolume a kWh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from greenfront.objectives.pareto import ranks
from greenfront.search.samplers.green.beliefs import Beliefs, Outlook, Prospect, form_beliefs
from greenfront.search.samplers.green.encode import knob_vector
from greenfront.search.samplers.green.index import index, two_stage_index
from greenfront.search.samplers.green.pool import Pool
from greenfront.search.samplers.green.prize import Box, Prizes, make_box
from greenfront.search.samplers.green.start import STARTS, next_promotion, spread_start
from greenfront.search.samplers.green.state import Decision, RungState, Terrain
from greenfront.spaces.knobs import Point

__all__ = ["GreenPolicy"]

Array = NDArray[np.float64]

RANDOM_SHARE = 1 / 6
"""Share of decisions that begin a random candidate: what the model does not expect is found so."""
SETTLED = 100
"""Decisions after which the random share falls with their square root."""
RANDOM, CHILDREN = 100, 133
"""Points of the pool."""
PARENTS = 20
ROUNDS, PROMISING, ANY, NEIGHBOURS = 2, 10, 4, 6
"""Local search: rounds, the best and some others in each, and mutations of each of them."""
FINALISTS = 24
"""New and paused candidates whose index is computed in full."""


@dataclass(frozen=True)
class GreenPolicy:
    """Decides on trainings; a pure function of its arguments.

    Attributes:
        terrain: What it may ask of the problem.
        seed: Of the random numbers.
    """

    terrain: Terrain
    seed: int

    def decide(self, states: Sequence[RungState], decisions_made: int) -> Decision | None:
        """What to train next.

        Args:
            states: All candidates that were begun, in that order; failed ones, too.
            decisions_made: Number of decisions before: the same number gives the same answer.

        Returns:
            The decision; ``None`` if there is nothing to train that is not being trained.
        """
        rng = np.random.default_rng([self.seed, decisions_made])
        pool = Pool(self.terrain, frozenset(state.key for state in states), rng)
        with threadpool_limits(limits=1, user_api="blas"):  # small matrices: threads only wait
            return self._start(pool, states) or self._race(pool, states, decisions_made)

    def _start(self, pool: Pool, states: Sequence[RungState]) -> Decision | None:
        waiting = [s for s in states if s.status == "paused" and s.rung < 0]
        if waiting:
            return Decision(waiting[0].key, waiting[0].point, 0, None)
        if len(states) < STARTS:
            start = spread_start(pool, states)
            if start is not None:
                return Decision(start.key, start.point, 0, None)
        onward = next_promotion(self.terrain, states)
        return None if onward is None else _on(onward, None)

    def _race(
        self, pool: Pool, states: Sequence[RungState], decisions_made: int
    ) -> Decision | None:
        box = self._box(states)
        due = RANDOM_SHARE * min(1.0, (SETTLED / max(decisions_made, 1)) ** 0.5)
        if box is None or pool.rng.random() < due:
            drawn = pool.draw()
            if drawn is not None:
                return Decision(drawn.key, drawn.point, 0, None)
        paused = [s for s in states if s.status == "paused"]
        if box is None:
            return _on(paused[0], None) if paused else None
        race = _race_of(self.terrain, states, box)
        finalists = self._new(pool, race, states)
        finalists += race.best([_prospect(self.terrain, s) for s in paused], None)
        if not finalists:
            return None
        prices = race.index(finalists)
        first = int(prices.argmax())
        chosen = finalists[first]
        return Decision(chosen.key, chosen.point, chosen.done + 1, float(prices[first]))

    def _box(self, states: Sequence[RungState]) -> Box | None:
        complete = [s.values for s in states if s.values is not None and s.status == "complete"]
        corners = self.terrain.box(complete) if complete else None
        if corners is None:
            return None
        return make_box(*corners, np.array(complete, dtype=np.float64))

    def _new(self, pool: Pool, race: _Race, states: Sequence[RungState]) -> list[Prospect]:
        """The best that was not begun, from a pool and a local search by the quick index."""
        pool.add_random(RANDOM)
        pool.add_children(_parents(self.terrain, race, states), CHILDREN)
        prospects = list(pool.prospects.values())
        scores = race.quick_index(prospects)
        for _ in range(ROUNDS if prospects else 0):
            order = np.argsort(-scores, kind="stable")[:PROMISING].tolist()
            order += pool.rng.permutation(len(prospects))[:ANY].tolist()
            new = pool.add_neighbours([prospects[i].point for i in order], NEIGHBOURS)
            if not new:
                break
            scores = np.concatenate([scores, race.quick_index(new)])
            prospects += new
        return race.best(prospects, scores)


@dataclass(frozen=True)
class _Race:
    """Beliefs and prizes at one decision."""

    beliefs: Beliefs
    prizes: Prizes

    def quick_index(self, prospects: Sequence[Prospect]) -> Array:
        if not prospects:
            return np.zeros(0)
        outlook = self.beliefs.outlook(prospects, next_only=True)
        rows, following = np.arange(len(prospects)), outlook.done + 1
        step = outlook.costs[rows, following]
        return two_stage_index(
            self.prizes.at_nodes(outlook),
            outlook.revealed[rows, following] * (following < outlook.costs.shape[1] - 1),
            step,
            outlook.costs.sum(axis=1) - step,
        )

    def best(self, prospects: list[Prospect], scores: Array | None) -> list[Prospect]:
        if scores is None:
            scores = self.quick_index(prospects)
        return [prospects[i] for i in np.argsort(-scores, kind="stable")[:FINALISTS]]

    def index(self, prospects: Sequence[Prospect]) -> Array:
        outlook: Outlook = self.beliefs.outlook(prospects)
        prizes = self.prizes.at_nodes(outlook)
        return index(prizes, outlook.revealed, outlook.costs, outlook.done)


def _race_of(terrain: Terrain, states: Sequence[RungState], box: Box) -> _Race:
    def believe(known: Sequence[RungState]) -> Beliefs:
        return form_beliefs(terrain, known, len(box.worst), float(box.worst[0]))

    running = [s for s in states if s.status == "running" and s.running_rung is not None]
    beliefs = believe(states)
    front = [s.values for s in states if s.status == "complete" and s.values is not None]
    if running:
        # What is under way is believed to come out as predicted.
        outlook = beliefs.outlook([_prospect(terrain, s) for s in running])
        imagined = {s.key: s for s in _imagined(beliefs, running, outlook)}
        for state, row in zip(running, range(len(running)), strict=True):
            if state.running_rung == terrain.rungs - 1:
                front.append(_final(beliefs, outlook, row))
        beliefs = believe([imagined.get(s.key, s) for s in states])
    return _Race(beliefs, Prizes.beyond(np.array(front, dtype=np.float64), box, beliefs))


def _imagined(beliefs: Beliefs, running: Sequence[RungState], outlook: Outlook) -> list[RungState]:
    x = np.array([s.description for s in running], dtype=np.float64)
    u = np.array([knob_vector(beliefs.terrain.space, s.point) for s in running])
    losses = beliefs.scales[0].backward(beliefs.loss.mean(x, u))
    imagined = []
    for row, state in enumerate(running):
        new = range(state.rung + 1, (state.running_rung or 0) + 1)
        imagined.append(
            replace(
                state,
                losses=state.losses + tuple(float(losses[row, r]) for r in new),
                kwh=state.kwh + tuple(float(outlook.costs[row, r]) for r in new),
                status="paused",
                running_rung=None,
            )
        )
    return imagined


def _final(beliefs: Beliefs, outlook: Outlook, row: int) -> tuple[float, ...]:
    z = [outlook.mean[row], *outlook.others[row]]
    return tuple(
        float(scale.backward(np.array(value)))
        for scale, value in zip(beliefs.scales, z, strict=True)
    )


def _parents(terrain: Terrain, race: _Race, states: Sequence[RungState]) -> list[Point]:
    """Those of the best predicted values, front by front."""
    begun = [s for s in states if s.losses and s.status != "failed"]
    outlook = race.beliefs.outlook([_prospect(terrain, s) for s in begun])
    rank = ranks(np.column_stack([outlook.mean, outlook.others]))
    return [begun[i].point for i in np.argsort(rank, kind="stable")[:PARENTS]]


def _prospect(terrain: Terrain, state: RungState) -> Prospect:
    return Prospect(
        key=state.key,
        point=state.point,
        x=state.description,
        u=knob_vector(terrain.space, state.point),
        known=state.known,
        done=state.rung,
        spent=sum(state.kwh),
    )


def _on(state: RungState, price: float | None) -> Decision:
    return Decision(state.key, state.point, state.rung + 1, price)

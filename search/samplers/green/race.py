"""All that could be trained next, ranked by what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from greenfront.objectives.pareto import non_dominated
from greenfront.search.samplers.green.beliefs import Beliefs, Outlook, Prospect, form_beliefs
from greenfront.search.samplers.green.index import index, two_stage_index
from greenfront.search.samplers.green.pool import Pool
from greenfront.search.samplers.green.prize import Box, Prizes
from greenfront.search.samplers.green.state import RungState, Terrain
from greenfront.spaces.knobs import Point

__all__ = ["Worth", "ranked"]

Array = NDArray[np.float64]

RANDOM, CHILDREN = 60, 90
"""Points of the pool."""
WHOLE_POOL, LEAST_POOL = 80, 0.25
"""Where deciding is dear, a pool is smaller in proportion with fewer observations than so many,
since little is known to look for; at least such a share of it is looked at."""
PARENTS = 20
ROUNDS, PROMISING, ANY, NEIGHBOURS = 5, 10, 4, 4
"""Local search: rounds, the best and some others in each, and mutations of each of them."""
FINALISTS = 24
"""New and paused candidates whose index is computed in full: so many of each, and as many more
as trainings will be begun from the ranking."""
FOREMOST = 60
"""Of more candidates than twice this at a rung only the best and the newest are looked at."""
APART = 0.1
"""Candidates of one ranking differ by more than this, in ranges of a knob, if several are begun."""


@dataclass(frozen=True, slots=True)
class Worth:
    """A prospect and its index: hypervolume a kWh."""

    prospect: Prospect
    price: float


def ranked(
    terrain: Terrain, states: Sequence[RungState], box: Box, pool: Pool, count: int
) -> list[Worth]:
    """The most valuable next trainings, best first.

    Args:
        terrain: What may be asked.
        states: All candidates that were begun.
        box: Of the hypervolume.
        pool: Gathers new candidates; empty.
        count: Trainings that will be begun from this ranking.
    """
    with _pools().limit(limits=1, user_api="blas"):  # small matrices: threads only wait
        return _ranked(terrain, states, box, pool, count)


@cache
def _pools() -> ThreadpoolController:
    """What computes with matrices here: looked for once, which takes milliseconds."""
    return ThreadpoolController()


def _ranked(
    terrain: Terrain, states: Sequence[RungState], box: Box, pool: Pool, count: int
) -> list[Worth]:
    race = _race_of(terrain, states, box)
    several = FINALISTS + count
    new = _new(terrain, pool, race, states, _pool_share(terrain, states))
    finalists = _apart(new, several, count > 1)
    foremost = _foremost([s for s in states if s.status == "paused"])
    paused = [_prospect(terrain, s) for s in foremost]
    finalists += race.by_quick_index(paused)[:several]
    if not finalists:
        return []
    prices = race.index(finalists)
    order = np.argsort(-prices, kind="stable")
    return [Worth(finalists[i], box.stretched * float(prices[i])) for i in order]


def _pool_share(terrain: Terrain, states: Sequence[RungState]) -> float:
    """How much of a pool is looked at."""
    if terrain.dearness(states) <= 1.0:
        return 1.0
    observations = sum(len(state.losses) for state in states)
    return min(max(observations / WHOLE_POOL, LEAST_POOL), 1.0)


def _new(
    terrain: Terrain, pool: Pool, race: _Race, states: Sequence[RungState], share: float
) -> list[Prospect]:
    """What was not begun, from a pool and a local search, best first by the quick index."""
    pool.add(terrain.proposed)
    pool.add_random(round(share * RANDOM))
    pool.add_children(_parents(terrain, race, states), round(share * CHILDREN))
    prospects = list(pool.prospects.values())
    scores = race.quick_index(prospects)
    for _ in range(ROUNDS if prospects else 0):
        order = np.argsort(-scores, kind="stable")[: round(share * PROMISING)].tolist()
        order += pool.rng.permutation(len(prospects))[: round(share * ANY)].tolist()
        new = pool.add_neighbours([prospects[i].point for i in order], NEIGHBOURS)
        if not new:
            break
        scores = np.concatenate([scores, race.quick_index(new)])
        prospects += new
    return [prospects[i] for i in np.argsort(-scores, kind="stable")]


def _foremost(states: Sequence[RungState]) -> list[RungState]:
    """Of many at one rung those of the least losses and the newest; few are all kept."""
    kept: list[RungState] = []
    for rung in sorted({state.rung for state in states}):
        here = [state for state in states if state.rung == rung]
        if len(here) > 2 * FOREMOST:
            older, newest = here[:-FOREMOST], here[-FOREMOST:]
            here = sorted(older, key=lambda state: state.losses[-1])[:FOREMOST] + newest
        kept += here
    return kept


def _apart(prospects: Sequence[Prospect], count: int, wanted: bool) -> list[Prospect]:
    """The first so many, and where wanted no two of them alike."""
    if not wanted:
        return list(prospects[:count])
    kept: list[int] = []
    u = np.array([prospect.u for prospect in prospects])
    for row, here in enumerate(u):
        if (np.abs(u[kept] - here).max(axis=1, initial=0.0) > APART).all():
            kept.append(row)
        if len(kept) == count:
            break
    return [prospects[row] for row in kept]


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

    def by_quick_index(self, prospects: list[Prospect]) -> list[Prospect]:
        order = np.argsort(-self.quick_index(prospects), kind="stable")
        return [prospects[i] for i in order]

    def index(self, prospects: Sequence[Prospect]) -> Array:
        outlook: Outlook = self.beliefs.outlook(prospects)
        prizes = self.prizes.at_nodes(outlook)
        return index(prizes, outlook.revealed, outlook.costs, outlook.done)


def _race_of(terrain: Terrain, states: Sequence[RungState], box: Box) -> _Race:
    counted = [column in box.counted for column in range(len(box.worst))]

    def believe(known: Sequence[RungState]) -> Beliefs:
        return form_beliefs(terrain, known, counted, float(box.worst[0]))

    running = [s for s in states if s.status == "running" and s.running_rung is not None]
    beliefs = believe(states)
    front = [s.values for s in states if s.status == "complete" and s.values is not None]
    front += terrain.beside()
    if running:
        # What is under way is believed to come out as predicted.
        outlook = beliefs.outlook([_prospect(terrain, s) for s in running])
        imagined = {s.key: s for s in _imagined(beliefs, running, outlook)}
        for state, row in zip(running, range(len(running)), strict=True):
            if state.running_rung == terrain.rungs - 1:
                front.append(_final(beliefs, outlook, row))
        beliefs = believe([imagined.get(s.key, s) for s in states])
    prizes = Prizes.beyond(np.array(front, dtype=np.float64), box, beliefs, _floor(terrain, states))
    return _Race(beliefs, prizes)


def _floor(terrain: Terrain, states: Sequence[RungState]) -> Array | None:
    """What no belief goes below: see :attr:`Terrain.beside`."""
    beside = terrain.beside()
    if not beside:
        return None
    floor: Array = np.array(beside, dtype=np.float64).min(axis=0)
    seen = [row for state in states for row in (state.values, state.known) if row]
    values = np.array([floor, *seen], dtype=np.float64)
    floor[np.nanmin(values, axis=0) < floor] = -np.inf
    return floor


def _imagined(beliefs: Beliefs, running: Sequence[RungState], outlook: Outlook) -> list[RungState]:
    x = np.array([s.description for s in running], dtype=np.float64)
    u = np.array([beliefs.terrain.settings(s) for s in running])
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
    begun = _foremost([s for s in states if s.losses and s.status != "failed"])
    outlook = race.beliefs.outlook([_prospect(terrain, s) for s in begun], next_only=True)
    values = np.column_stack([outlook.mean, outlook.others])
    left, chosen = np.arange(len(begun)), np.zeros(0, dtype=np.int64)
    while len(left) and len(chosen) < PARENTS:
        front = non_dominated(values[left])
        chosen, left = np.concatenate([chosen, left[front]]), left[~front]
    return [begun[i].point for i in chosen[:PARENTS]]


def _prospect(terrain: Terrain, state: RungState) -> Prospect:
    return Prospect(
        key=state.key,
        point=state.point,
        x=state.description,
        u=terrain.settings(state),
        known=state.known,
        done=max(state.rung, terrain.reached(state.point)),
    )

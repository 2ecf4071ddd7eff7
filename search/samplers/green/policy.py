"""The racing sampler: whom to train one rung further, for the most hypervolume a kWh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from greenfront.search.samplers.green.beliefs import Prospect
from greenfront.search.samplers.green.pool import Pool
from greenfront.search.samplers.green.prize import Box, make_box
from greenfront.search.samplers.green.race import Worth, ranked
from greenfront.search.samplers.green.start import STARTS, foremost, next_promotion, spread_start
from greenfront.search.samplers.green.state import Decision, RungState, Terrain

__all__ = ["GreenPolicy"]

RANDOM_SHARE = 1 / 6
"""Share of decisions that begin a random candidate: what the model does not expect is found so."""
SETTLED = 100
"""Decisions after which the random share falls with their square root."""
RANKINGS = 40
"""A ranking serves until there is one more observation for every so many that there were."""
TOGETHER = 4
"""A ranking serves at least so many steps where deciding is dear by more than this factor, at
least two where it is so by less."""
MANY = 400
"""Models are made of no more observations: beyond, a ranking serves twice as long."""

_Past = tuple[list[RungState], Sequence[tuple[float, ...]]]


@dataclass(frozen=True)
class GreenPolicy:
    """Decides on trainings; a pure function of its arguments.

    Attributes:
        terrain: What it may ask of the problem.
        seed: Of the random numbers.
    """

    terrain: Terrain
    seed: int
    _latest: list[tuple[_Past, tuple[Worth, ...]]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

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
        return self._start(pool, states) or self._race(pool, states, decisions_made)

    def _start(self, pool: Pool, states: Sequence[RungState]) -> Decision | None:
        waiting = [s for s in states if s.status == "paused" and s.rung < 0]
        if waiting:
            return self._on(waiting[0], None)
        if self.terrain.proposed and self._box(states) is not None:
            # What a space proposes says more than a spread would, and at its lowest rung for less.
            proposed = pool.draw_proposed()
            return None if proposed is None else _begun(proposed)
        if len(states) < STARTS:
            start = spread_start(pool, states)
            if start is not None:
                return _begun(start)
        onward = next_promotion(self.terrain, states)
        return None if onward is None else self._on(onward, None)

    def _race(
        self, pool: Pool, states: Sequence[RungState], decisions_made: int
    ) -> Decision | None:
        box = self._box(states)
        if box is None:
            # Without two different ends nothing is worth more than another: there must be some.
            onward = foremost(states)
            if onward is not None:
                return self._on(onward, None)
        due = RANDOM_SHARE * min(1.0, (SETTLED / max(decisions_made, 1)) ** 0.5)
        if box is None or pool.rng.random() < due:
            drawn = pool.draw()
            if drawn is not None:
                return _begun(drawn)
        if box is None:
            return None
        moment, count = _moment(states, self._at_least(states))
        if count > 1:
            # What was known a while ago decides for all decisions since.
            then = self._box(moment)
            worths = () if then is None else self._ranked(moment, then, count)
            decision = _first_open(self.terrain, worths, states)
            if decision is not None:
                return decision
        return _first_open(self.terrain, ranked(self.terrain, states, box, pool, 1), states)

    def _at_least(self, states: Sequence[RungState]) -> int:
        # In steps by far more than its noise: each change of it has everything ranked anew.
        dearness = self.terrain.dearness(states)
        return TOGETHER if dearness > TOGETHER else 2 if dearness > 1.0 else 1

    def _on(self, state: RungState, price: float | None) -> Decision:
        done = max(state.rung, self.terrain.reached(state.point))
        return Decision(state.key, state.point, done + 1, price)

    def _ranked(self, moment: list[RungState], box: Box, count: int) -> tuple[Worth, ...]:
        # Lists are equal at once where they hold the same objects: most states do not change.
        past = (moment, self.terrain.beside())
        if self._latest and self._latest[0][0] == past:
            return self._latest[0][1]
        rng = np.random.default_rng([self.seed, sum(len(s.losses) for s in moment)])
        pool = Pool(self.terrain, frozenset(state.key for state in moment), rng)
        found = tuple(ranked(self.terrain, moment, box, pool, count))
        self._latest[:] = [(past, found)]
        return found

    def _box(self, states: Sequence[RungState]) -> Box | None:
        complete = [s.values for s in states if s.values is not None and s.status == "complete"]
        corners = self.terrain.box(complete) if complete else None
        if corners is None:
            return None
        return make_box(*corners, np.array(complete, dtype=np.float64))


def _begun(prospect: Prospect) -> Decision:
    return Decision(prospect.key, prospect.point, prospect.done + 1, None)


def _first_open(
    terrain: Terrain, worths: Sequence[Worth], states: Sequence[RungState]
) -> Decision | None:
    """The best of a ranking that nobody has taken up since."""
    by_key = {state.key: state for state in states}
    for worth in worths:
        prospect, state = worth.prospect, by_key.get(worth.prospect.key)
        paused = state is not None and state.status == "paused"
        own = -1 if state is None else state.rung
        done = max(own, terrain.reached(prospect.point))
        if (state is None or paused) and prospect.done == done:
            return Decision(prospect.key, prospect.point, prospect.done + 1, worth.price)
    return None


def _moment(states: Sequence[RungState], at_least: int) -> tuple[list[RungState], int]:
    """The states at the last moment at which a ranking was due, and how long it serves.

    Cut back by when rungs finished: so all decisions since then see the same past. Where that is
    not known, or the search is young and deciding cheap, the moment is now.
    """
    seen = [number for state in states for number in state.finished]
    losses = sum(len(state.losses) for state in states)
    serves = max(losses // RANKINGS * (2 if losses > MANY else 1), at_least)
    if serves < 2 or len(seen) < losses:
        return list(states), 1
    last = sorted(seen)[losses - losses % serves - 1]
    cut = []
    for state in states:
        if state.status != "running" and (not state.finished or state.finished[-1] <= last):
            cut.append(state)
            continue
        rungs = sum(number <= last for number in state.finished)
        if rungs:
            ended = state.values is not None and rungs == len(state.losses)
            cut.append(
                replace(
                    state,
                    losses=state.losses[:rungs],
                    kwh=state.kwh[:rungs],
                    measured=state.measured[:rungs],
                    finished=state.finished[:rungs],
                    values=state.values if ended else None,
                    status="complete" if ended else "paused",
                    running_rung=None,
                )
            )
    return cut, serves

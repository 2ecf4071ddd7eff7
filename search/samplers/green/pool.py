"""Candidates not begun yet: random ones, children of the best, neighbours of the promising."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from greenfront.search.samplers.green.beliefs import Prospect
from greenfront.search.samplers.green.encode import knob_vector
from greenfront.search.samplers.green.state import Terrain
from greenfront.spaces.knobs import Point, Real, Value

__all__ = ["Pool", "mutated"]

CROSSED = 0.5
"""Share of children with two parents."""
REACHES = (0.2, 0.05)
"""Steps of a mutation, in ranges of a knob: one size a child."""
DRAWS = 500


@dataclass
class Pool:
    """Gathers prospects, none twice and none that was begun.

    Attributes:
        terrain: What may be asked.
        begun: Keys that are out of question.
        rng: Random numbers.
        prospects: What was gathered, by key.
    """

    terrain: Terrain
    begun: frozenset[str]
    rng: np.random.Generator
    prospects: dict[str, Prospect] = field(default_factory=dict)

    def put(self, point: Point) -> Prospect | None:
        """Takes a point in; ``None`` if it promises nothing, is there already or was begun."""
        if not self.terrain.promising(point):
            return None
        key = self.terrain.space.decode(point).key
        if key in self.begun or key in self.prospects:
            return None
        settings = knob_vector(self.terrain.space, point)
        prospect = Prospect(
            key=key,
            point=point,
            x=tuple(self.terrain.describe(point, settings)),
            u=settings,
            known=self.terrain.known(point),
            done=self.terrain.reached(point),
        )
        self.prospects[key] = prospect
        return prospect

    def add(self, points: Iterable[Point]) -> None:
        """Takes points in."""
        for point in points:
            self.put(point)

    def add_random(self, count: int) -> None:
        """Draws so many points; duplicates among them are dropped."""
        for _ in range(count):
            self.put(self.terrain.space.sample(self.rng))

    def add_children(self, parents: Sequence[Point], count: int) -> None:
        """Crosses and mutates parents, so many times."""
        for _ in range(count if parents else 0):
            child = parents[int(self.rng.integers(len(parents)))]
            if self.rng.random() < CROSSED:
                child = self._crossed(child, parents[int(self.rng.integers(len(parents)))])
            self.put(mutated(self.terrain, child, self.rng, 1.5))

    def add_neighbours(self, points: Iterable[Point], count: int) -> list[Prospect]:
        """Mutates each point so many times; returns what is new."""
        tried = [
            self.put(mutated(self.terrain, point, self.rng, 1.0))
            for point in points
            for _ in range(count)
        ]
        return [prospect for prospect in tried if prospect is not None]

    def draw_proposed(self) -> Prospect | None:
        """The first of the proposed points that is new; ``None`` if all were begun."""
        tried = (self.put(point) for point in self.terrain.proposed)
        return next((prospect for prospect in tried if prospect is not None), None)

    def draw(self) -> Prospect | None:
        """One random point that is new; ``None`` if none was found."""
        for _ in range(DRAWS):
            prospect = self.put(self.terrain.space.sample(self.rng))
            if prospect is not None:
                return prospect
        return None

    def _crossed(self, mother: Point, father: Point) -> dict[str, Value]:
        inherited = dict(mother)
        for name, value in father.items():
            # The other parent's family brings its own knobs: complete() drops what is not asked.
            if name not in inherited or self.rng.random() < 0.5:
                inherited[name] = value
        return self.terrain.space.complete(inherited, self.rng)


def mutated(
    terrain: Terrain, point: Point, rng: np.random.Generator, rate: float
) -> dict[str, Value]:
    """A neighbour of a point: ``rate`` of its settings changed on average, at least one."""
    names = list(point)
    changed = rng.random(len(names)) < rate / len(names)
    changed[int(rng.integers(len(names)))] |= not changed.any()
    reach = REACHES[int(rng.integers(len(REACHES)))]
    settings: dict[str, Value] = {}
    for name in (name for name, change in zip(names, changed.tolist(), strict=True) if change):
        knob = terrain.space.knob(name)
        value = point[name]
        near = knob.near(value, rng, reach) if isinstance(knob, Real) else knob.near(value, rng)
        settings[name] = near
    return terrain.space.changed(point, settings, rng)

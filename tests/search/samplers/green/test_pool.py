"""Where the racing sampler finds new candidates."""

from __future__ import annotations

import numpy as np

from greenfront.search.samplers.green.pool import Pool
from greenfront.search.samplers.green.state import Terrain
from greenfront.spaces.knobs import Point, Real
from greenfront.spaces.space import PlainChoice, SearchSpace

SPACE = SearchSpace((Real("size", 0, 1),), decode=lambda point: PlainChoice(dict(point)))


def test_the_most_telling_of_the_proposals_comes_first() -> None:
    proposed: list[Point] = [{"size": 0.1 * place} for place in (5, 2, 8)]
    ground = Terrain(
        SPACE, 1, (1.0,), lambda _, knobs: knobs, box=lambda _: None, proposed=proposed
    )
    begun, drawn = set[str](), list[Point]()
    for number in range(3):
        found = Pool(ground, frozenset(begun), np.random.default_rng(number)).draw_proposed()
        assert found is not None
        begun.add(found.key)
        drawn.append(found.point)
    assert drawn == proposed
    assert Pool(ground, frozenset(begun), np.random.default_rng(3)).draw_proposed() is None


def test_what_promises_nothing_is_not_looked_at() -> None:
    ground = Terrain(
        SPACE,
        1,
        (1.0,),
        lambda _, knobs: knobs,
        box=lambda _: None,
        proposed=[{"size": 0.9}, {"size": 0.4}],
        promising=lambda point: float(point["size"]) < 0.5,
    )
    pool = Pool(ground, frozenset(), np.random.default_rng(0))
    first = pool.draw_proposed()
    assert first is not None
    assert first.point == {"size": 0.4}
    pool.add_random(50)
    pool.add_children([{"size": 0.45}], 50)
    assert len(pool.prospects) > 30
    assert all(float(each.point["size"]) < 0.5 for each in pool.prospects.values())

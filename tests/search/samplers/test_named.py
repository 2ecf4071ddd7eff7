from __future__ import annotations

from typing import ClassVar

import pytest

from contracts.problems import ZDT1
from contracts.samplers import SamplerContract
from greenfront import optimize_problem
from greenfront.errors import UsageError
from greenfront.search.optimize import SearchOptions
from greenfront.search.samplers.named import SamplerName, default_population, make_sampler
from greenfront.spaces.knobs import Point


class TestNSGA2(SamplerContract):
    name: ClassVar[SamplerName] = "nsga2"

    def test_beats_random_search(self) -> None:
        def volume(sampler: SamplerName, seed: int) -> float:
            result = optimize_problem(
                ZDT1(), sampler=sampler, trials=240, seed=seed, options=SearchOptions(population=24)
            )
            return result.curve[-1].hypervolume

        evolved = sum(volume("nsga2", seed) for seed in range(3))
        drawn = sum(volume("random", seed) for seed in range(3))
        assert evolved > 1.15 * drawn
        assert evolved <= 3 * ZDT1.best_hypervolume

    def test_queued_optima_become_parents(self) -> None:
        class Scripted(ZDT1):
            def first_generation(self) -> list[Point]:
                return [{"x0": i / 9, "x1": 0.0, "x2": 0.0, "x3": 0.0} for i in range(10)]

        result = optimize_problem(
            Scripted(), sampler="nsga2", trials=30, seed=1, options=SearchOptions(population=8)
        )
        proposed = [row.candidate for row in result.trials if row.number >= 10]
        inherited = [sum(point[f"x{i}"] == 0.0 for i in (1, 2, 3)) for point in proposed]
        # Of three inherited knobs one mutates at most now and then; random points inherit none.
        assert len(proposed) == 20
        assert sum(count >= 2 for count in inherited) >= 15


class TestNSGA3(SamplerContract):
    name: ClassVar[SamplerName] = "nsga3"


class TestTPE(SamplerContract):
    name: ClassVar[SamplerName] = "tpe"


class TestGP(SamplerContract):
    name: ClassVar[SamplerName] = "gp"
    proposals: ClassVar[int] = 5


class TestRandom(SamplerContract):
    name: ClassVar[SamplerName] = "random"
    learns: ClassVar[bool] = False


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'cma'.*nsga2.*random"):
        make_sampler("cma", ZDT1().space, population=8, seed=[0], tried=lambda point: False)


@pytest.mark.parametrize(("trials", "population"), [(None, 50), (10, 8), (100, 25), (1000, 50)])
def test_default_population(trials: int | None, population: int) -> None:
    assert default_population(trials) == population

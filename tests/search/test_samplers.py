from __future__ import annotations

from typing import ClassVar

import pytest

from contracts.problems import ZDT1
from contracts.samplers import SamplerContract
from greenfront import optimize_problem
from greenfront.errors import UsageError
from greenfront.search.optimize import SearchOptions
from greenfront.search.samplers.named import SamplerName, default_population, make_sampler


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


class TestNSGA3(SamplerContract):
    name: ClassVar[SamplerName] = "nsga3"


class TestTPE(SamplerContract):
    name: ClassVar[SamplerName] = "tpe"


class TestRandom(SamplerContract):
    name: ClassVar[SamplerName] = "random"


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'cma'.*nsga2.*random"):
        make_sampler("cma", ZDT1().space, population=8, seed=[0], tried=lambda point: False)


@pytest.mark.parametrize(("trials", "population"), [(None, 50), (10, 8), (100, 25), (1000, 50)])
def test_default_population(trials: int | None, population: int) -> None:
    assert default_population(trials) == population

"""What every sampler must do, by whatever name."""

from __future__ import annotations

from typing import ClassVar

import pytest

from contracts.problems import ZDT1, Menu
from greenfront import optimize_problem
from greenfront.search.optimize import SearchOptions
from greenfront.search.samplers.named import SamplerName


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
class SamplerContract:
    name: ClassVar[SamplerName]

    def test_tries_nothing_twice(self) -> None:
        problem = Menu()
        result = optimize_problem(
            problem, sampler=self.name, trials=20, seed=1, options=SearchOptions(population=8)
        )
        assert len(problem.tried) == len(set(problem.tried)) == 20
        assert len(result.trials) == 20

    def test_tries_a_small_space_out_and_then_ends(self) -> None:
        problem = Menu()
        result = optimize_problem(
            problem, sampler=self.name, trials=40, seed=2, options=SearchOptions(population=8)
        )
        assert len(result.trials) == 27
        assert "every candidate" in result.reason
        taste_per_cost = sorted({row.values or () for row in result.trials})
        assert taste_per_cost == sorted({Menu.values(point) for point in problem.points()})

    def test_asks_only_what_means_something(self) -> None:
        result = optimize_problem(
            Menu(), sampler=self.name, trials=15, seed=3, options=SearchOptions(population=8)
        )
        for row in result.trials:
            expected = {"a": {"dish", "size", "spice"}, "b": {"dish", "heat", "spice"}}
            assert set(row.candidate) == expected[row.candidate["dish"]]

    def test_same_seed_same_trials(self) -> None:
        one, other = (
            optimize_problem(
                ZDT1(), sampler=self.name, trials=12, seed=5, options=SearchOptions(population=8)
            )
            for _ in range(2)
        )
        assert [row.candidate for row in one.trials] == [row.candidate for row in other.trials]
        another = optimize_problem(
            ZDT1(), sampler=self.name, trials=12, seed=6, options=SearchOptions(population=8)
        )
        assert [row.candidate for row in one.trials] != [row.candidate for row in another.trials]

"""What every sampler must do, by whatever name."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from contracts.problems import ZDT1, Menu
from greenfront import optimize_problem
from greenfront.search.optimize import SearchOptions
from greenfront.search.samplers.named import SamplerName
from greenfront.spaces.knobs import Point


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
class SamplerContract:
    name: ClassVar[SamplerName]
    learns: ClassVar[bool] = True
    proposals: ClassVar[int] = 12
    """Own ones in a test: some samplers take half a second for each."""

    def test_tries_nothing_twice(self) -> None:
        problem = Menu()
        count = 10 + self.proposals
        result = optimize_problem(
            problem, sampler=self.name, trials=count, seed=1, options=SearchOptions(population=8)
        )
        assert len(problem.tried) == len(set(problem.tried)) == count
        assert len(result.trials) == count
        # Nor does it ask for anything twice, which would take time.
        assert [trial.state.name for trial in result.study.trials] == ["COMPLETE"] * count

    def test_learns_from_what_it_has_not_proposed(self) -> None:
        """Half of the script is on the front, where all but the first setting are 0."""

        class Scripted(ZDT1):
            def first_generation(self) -> list[Point]:
                draw = np.random.default_rng(0).random
                rows = [(i / 9, *(draw(3) * (0.0 if i % 2 else 1.0))) for i in range(10)]
                return [{f"x{i}": float(v) for i, v in enumerate(row)} for row in rows]

        count = 10 + self.proposals
        result = optimize_problem(
            Scripted(), sampler=self.name, trials=count, seed=1, options=SearchOptions(population=8)
        )
        proposed = [row.candidate for row in result.trials if row.number >= 10]
        distance = np.mean([point[f"x{i}"] for point in proposed for i in (1, 2, 3)])
        assert (distance < 0.3) == self.learns

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

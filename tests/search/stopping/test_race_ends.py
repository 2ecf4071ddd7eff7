"""A race ends before the first step that is not worth the price that its sampler tells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from contracts.problems import Curves, Frugal
from greenfront import optimize_problem
from greenfront.search.optimize import SearchOptions
from greenfront.search.proposals import racing
from greenfront.search.samplers.green.state import Decision, RungState, Terrain


class FrugalCurves(Frugal, Curves):
    trials_before_stopping = 3


class Beginning:
    """Begins candidates of growing size, and tells the prices that a test wants told."""

    def __init__(self, terrain: Terrain, prices: Iterator[float | None]) -> None:
        self.space, self.prices = terrain.space, prices

    def decide(self, states: Sequence[RungState], decisions_made: int) -> Decision:
        point = {"size": 1 + len(states), "rate": 5, "bits": 32}
        return Decision(self.space.decode(point).key, point, 0, next(self.prices))


def test_steps_are_judged_before_they_are_taken_whether_or_not_one_was_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The second is told too early to count, the third is none, the fifth is too low.
    prices = iter([9.0, 2.0, None, 8.0, 2.0, 9.0])
    monkeypatch.setattr(racing, "GreenPolicy", lambda terrain, _: Beginning(terrain, prices))
    problem = FrugalCurves(5.0)
    result = optimize_problem(problem, trials=6, sampler="green")
    assert result.reason == "not worth it"
    assert problem.asked == [8.0, 2.0]
    assert [effort for _, _, effort in problem.trained] == [1, 1, 1, 1]
    assert {row.state for row in result.trials} == {"dropped"}
    assert {row.reason for row in result.trials} == {"not promoted: not worth it"}


def test_a_real_race_ends_at_the_first_price_below_and_stays_ended(tmp_path: Path) -> None:
    generous = FrugalCurves(0.0)
    optimize_problem(generous, trials=8, sampler="green", seed=3)
    least = math.nextafter(min(generous.asked[: len(generous.asked) // 2]), math.inf)
    end = next(index for index, price in enumerate(generous.asked) if price < least)
    frugal, url = FrugalCurves(least), f"sqlite:///{tmp_path}/study.db"
    result = optimize_problem(frugal, trials=8, sampler="green", seed=3, storage=url)
    assert result.reason == "not worth it"
    assert frugal.asked == generous.asked[: end + 1]
    assert frugal.trained == generous.trained[: len(frugal.trained)]
    assert len(frugal.trained) < len(generous.trained)
    trained = len(frugal.trained)
    again = optimize_problem(frugal, trials=8, sampler="green", seed=3, storage=url)
    assert again.reason == "not worth it"
    assert len(frugal.trained) <= trained + 1  # a random candidate has no price


def test_workers_of_a_race_end_together() -> None:
    problem = FrugalCurves(math.inf)
    options = SearchOptions(workers=3)
    result = optimize_problem(problem, trials=8, sampler="green", options=options)
    assert result.reason == "not worth it"
    assert len(problem.asked) == 1

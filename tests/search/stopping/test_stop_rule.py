"""A search ends when what is still to be gained is worth less than it costs."""

from __future__ import annotations

import math
from typing import Any

import pytest

from contracts.problems import ZDT1, Frugal
from greenfront import optimize_problem
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.optimize import SearchOptions
from greenfront.search.stopping.stop_rule import expected_price
from greenfront.studies.analysis.ranking.volume import Corners
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile

BOX = Corners((1.0, 1.0), (0.0, 0.0))


class FrugalZDT1(Frugal, ZDT1):
    trials_before_stopping = 16


def test_gains_of_the_second_half_are_spread_by_the_law_of_records() -> None:
    values = [(0.7, 0.0)] * 4 + [(0.5, 0.0)] * 4
    price = expected_price(values, (False, False), BOX, kwh=8.0)
    assert price == pytest.approx(0.2 / math.log(2) / 8)
    # Twice as dear trials gain half as much a kWh.
    dear = expected_price(values, (False, False), BOX, kwh=16.0)
    assert dear == pytest.approx(price / 2)


def test_a_second_half_without_gain_expects_none_and_free_trials_are_worth_it() -> None:
    values = [(0.5, 0.5)] * 2 + [(0.7, 0.7)] * 6
    assert expected_price(values, (False, False), BOX, kwh=1.0) == 0
    assert expected_price([(0.7, 0.7), (0.5, 0.5)], (False, False), BOX, kwh=0.0) == math.inf


def test_a_search_goes_on_while_it_is_worth_it_and_says_why_it_ends() -> None:
    generous = FrugalZDT1(0.0)
    result = optimize_problem(generous, trials=60, seed=2)
    assert len(result.trials) == 60
    assert len(set(generous.asked)) > 10
    strict = FrugalZDT1(math.inf)
    result = optimize_problem(strict, trials=60, sampler="random", seed=2)
    assert len(result.trials) == 16  # never before
    assert result.reason == "not worth it"
    least = max(generous.asked) / 2
    end = next(index for index, price in enumerate(generous.asked) if price < least)
    between = FrugalZDT1(least)
    result = optimize_problem(between, trials=60, seed=2)
    assert between.asked == generous.asked[: end + 1]
    assert 16 <= len(result.trials) < 60


def test_several_workers_end_together() -> None:
    options = SearchOptions(workers=3)
    result = optimize_problem(FrugalZDT1(math.inf), trials=60, options=options)
    assert 16 <= len(result.trials) <= 18
    assert {row.state for row in result.trials} == {"complete"}


def problem(**sections: dict[str, Any]) -> NetworkProblem:
    carbon = {"g_per_kwh": 500.0}
    study = {"task": {"kind": "digits"}, "space": {"references": False}, "carbon": carbon}
    task = TaskFacts("digits", (1, 8, 8), ("0", "1"), {"train": 60, "validation": 20}, 0.5, "f00d")
    facts = StudyFacts(task, "cpu", mixed_precision=False)
    return NetworkProblem(StudyFile.from_stored({**study, **sections}), facts, Instruments(()))


def test_networks_are_searched_while_a_kwh_saves_what_it_emits() -> None:
    box = Corners((0.1, 2e-3, 1e-3), (1.0, 0.0, 0.0))  # the dearest baseline emits a gram
    searched = problem()
    # A kWh emits 500 g: it has to gain what saves them, 500 boxes.
    assert searched.too_dear(501.0, box) is None
    told = searched.too_dear(499.0, box) or ""
    assert "a further kWh would emit 500 g" in told
    assert "saves 499 g over 1,000,000 predictions" in told
    stated = problem(search={"stop_below": 3.0})
    assert stated.too_dear(3.0, box) is None
    assert "2.90 of hypervolume, less than 3" in (stated.too_dear(2.9, box) or "")


def test_the_sampler_gets_a_generation_before() -> None:
    shares = problem().shares
    assert problem().trials_before_stopping == shares.scripted + shares.generation
    assert problem(search={"stop_below": 0}).trials_before_stopping is None


def test_nobody_is_asked_where_no_number_is_given() -> None:
    class Endless(FrugalZDT1):
        trials_before_stopping = None  # type: ignore[assignment]

    problem = Endless(math.inf)
    assert len(optimize_problem(problem, trials=20).trials) == 20
    assert problem.asked == []

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import greenfront
from contracts.problems import ZDT1, Menu
from greenfront import (
    Evaluation,
    Objective,
    Real,
    SearchOptions,
    SearchSpace,
    optimize_problem,
)
from greenfront.errors import SearchAborted, UsageError


class Wrong(Menu):
    """Returns what it is told to."""

    def __init__(self, result: Callable[[], Any]) -> None:
        super().__init__()
        self.result = result

    def evaluate(self, candidate: Any, context: Any) -> Any:
        return self.result()


class Nameless(Menu):
    objectives = (Objective("cost"), Objective("cost"))


class Bare(Menu):
    def __init__(self) -> None:
        super().__init__()
        self.space: Any = SearchSpace((Real("x", 0, 1),), dict)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"trials": 0}, "trials: must be a whole number of 1 or more, got 0"),
        ({"trials": 2.5}, "trials: must be a whole number"),
        ({"trials": 3, "seed": -1}, "seed: must be a whole number of 0 or more"),
        ({"budget_kwh": -1.0}, "budget_kwh: must be a number above 0, got -1.0"),
        ({"trials": 3, "options": {"workers": 2}}, r"options: must be SearchOptions"),
        ({"trials": 3, "options": SearchOptions(workers=0)}, r"workers: must be .* 1 or more"),
        ({"trials": 3, "options": SearchOptions(population=1)}, r"population: must be .* 2 or"),
        ({"trials": 3, "options": SearchOptions(name="")}, r"name: must not be empty"),
        ({}, "a space with a continuum never ends: give trials"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        optimize_problem(ZDT1(), **arguments)


@pytest.mark.parametrize(
    ("problem", "rule"),
    [
        (Menu, r"problem: must be an object of a class derived from .*, got <class"),
        (Nameless(), r"Nameless.objectives: .* a name of its own, got \['cost', 'cost'\]"),
        (Bare(), r"Bare.space: decode must give a choice with key and to_json"),
        (Wrong(lambda: (1.0, 2.0)), r"Wrong.evaluate: must return an Evaluation, got \(1"),
        (Wrong(lambda: Evaluation((1.0,), 0.0)), r"a value for each objective \(\w+, \w+\), got"),
        (Wrong(lambda: Evaluation((1.0, 2.0), -1.0)), r"spent_kwh must be finite and 0 or more"),
        (Wrong(lambda: Evaluation((1.0, 2.0), None)), r"spent_kwh a number of kWh"),  # type: ignore[arg-type]
        (
            Wrong(lambda: Evaluation((1.0, 2.0), 0.0, detail={"a": object()})),
            r"detail and checkpoint must be JSON values",
        ),
    ],
)
def test_what_is_wrong_with_a_problem_is_said(problem: Any, rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        optimize_problem(problem, trials=3)


def test_numbers_of_numpy_are_kept_as_numbers() -> None:
    found = Wrong(lambda: Evaluation((np.float32(0.5), np.int64(2)), np.float64(0.0)))  # type: ignore[arg-type]
    result = optimize_problem(found, trials=2)
    assert [trial.values for trial in result.trials] == [(0.5, 2.0)] * 2


def test_failures_of_one_cause_end_it_with_a_way_on_from_python() -> None:
    def fail() -> Evaluation:
        raise greenfront.TrialFailed("broken", "the pump is broken")

    with pytest.raises(SearchAborted, match=r"the pump is broken.*call optimize_problem again"):
        optimize_problem(Wrong(fail), trials=5)

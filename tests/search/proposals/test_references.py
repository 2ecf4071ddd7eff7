"""What is tried beside the space: first, once, and unseen by samplers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest

from contracts.problems import SPENT_KWH, Menu
from greenfront import Evaluation, PlainChoice, optimize_problem
from greenfront.errors import TrialFailed
from greenfront.objectives.context import TrialContext
from greenfront.search.runs.recovery import REFERENCE
from greenfront.search.samplers.named import SamplerName

BREAD = PlainChoice({"dish": "bread"})
SOUP = PlainChoice({"dish": "soup"})


class WithReferences(Menu):
    """Bread and soup are no dishes of the menu."""

    def reference_candidates(self) -> Sequence[PlainChoice]:
        return (BREAD, SOUP)

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        if candidate in (BREAD, SOUP):
            self.tried.append(candidate.key)
            return Evaluation((9.0 if candidate == BREAD else 1.0, 0.1), SPENT_KWH)
        return super().evaluate(candidate, context)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


@pytest.mark.parametrize("sampler", ["nsga2", "tpe", "random"])
def test_references_are_tried_first_and_once(sampler: SamplerName) -> None:
    result = optimize_problem(WithReferences(), trials=12, seed=0, sampler=sampler)
    told = [row.candidate for row in result.trials]
    assert told[:2] == [{"dish": "bread"}, {"dish": "soup"}]
    assert all(row["dish"] in ("a", "b") for row in told[2:])
    assert [row.state for row in result.trials] == ["complete"] * 12
    assert result.trials[0].values == (9.0, 0.1)


def test_samplers_do_not_learn_of_them(url: str) -> None:
    result = optimize_problem(WithReferences(), trials=8, seed=0, storage=url)
    trials = result.study.get_trials()
    outside = [trial for trial in trials if REFERENCE in trial.user_attrs]
    assert [trial.state.name for trial in outside] == ["FAIL", "FAIL"]
    common = optuna.search_space.intersection_search_space(trials)
    assert {"dish", "spice"} <= common.keys()


def test_a_space_is_searched_to_its_end_beside_them() -> None:
    problem = WithReferences()
    result = optimize_problem(problem, seed=0)
    assert len(result.trials) == 2 + len(problem.points())


def test_a_small_budget_is_taken_up_later(url: str) -> None:
    assert len(optimize_problem(WithReferences(), trials=1, storage=url).trials) == 1
    result = optimize_problem(WithReferences(), trials=5, storage=url)
    assert [row.candidate["dish"] for row in result.trials[:2]] == ["bread", "soup"]
    assert [row.state for row in result.trials] == ["complete"] * 5


def test_an_interrupted_one_is_tried_again(url: str) -> None:
    class Interrupted(WithReferences):
        def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize_problem(Interrupted(), trials=4, storage=url)
    result = optimize_problem(WithReferences(), trials=4, storage=url)
    # What was queued behind it comes before.
    assert {"bread", "soup"} < {row.candidate["dish"] for row in result.trials}
    assert [row.state for row in result.trials] == ["complete"] * 4


def test_references_that_fail_do_not_end_a_search() -> None:
    class Failing(WithReferences):
        def reference_candidates(self) -> Sequence[PlainChoice]:
            return [PlainChoice({"dish": name}) for name in ("rice", "oats", "corn")]

        def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
            if candidate.values["dish"] in ("rice", "oats", "corn"):
                raise TrialFailed("cannot fit", "not today")
            return super().evaluate(candidate, context)

    result = optimize_problem(Failing(), trials=7, seed=0)
    assert [row.state for row in result.trials] == ["failed"] * 3 + ["complete"] * 4


def test_a_study_that_was_begun_without_them_goes_on_without_them(url: str) -> None:
    optimize_problem(Menu(), trials=3, storage=url)
    result = optimize_problem(WithReferences(), trials=5, storage=url)
    assert all(row.candidate["dish"] in ("a", "b") for row in result.trials)

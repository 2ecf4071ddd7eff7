"""Candidates that others are compared with are tried again after an accident."""

from __future__ import annotations

import pytest

from contracts.problems import SPENT_KWH, Menu
from greenfront import PlainChoice, optimize_problem
from greenfront.errors import TrialFailed
from greenfront.objectives.context import TrialContext
from greenfront.objectives.readings import Reading
from greenfront.search.optimize import SearchResult
from greenfront.search.problem import Evaluation
from greenfront.search.samplers.named import SamplerName

BASELINE = {"dish": "a", "size": 1, "spice": 0}


class Accidents(Menu):
    """Its baseline fails some times, each for half of its energy."""

    def __init__(self, accidents: int, cause: str, needed: bool = True) -> None:
        super().__init__(first=[BASELINE])
        self.left, self.cause, self.is_needed = accidents, cause, needed
        self.begun = 0

    def needed(self, candidate: PlainChoice) -> bool:
        return self.is_needed and candidate.values == BASELINE

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        if candidate.values == BASELINE:
            self.begun += 1
            if self.left:
                self.left -= 1
                joules = SPENT_KWH / 2 * 3.6e6
                reading = Reading(joules, joules, joules, "modelled", "the test", 0.0, 0.0)
                context.charge("train", {"cpu": reading}, 0.0, 1.0)
                raise TrialFailed(self.cause, "ended by SIGKILL")
        return super().evaluate(candidate, context)


def searched(problem: Accidents, sampler: SamplerName = "nsga2") -> SearchResult:
    return optimize_problem(problem, trials=3, sampler=sampler)


@pytest.mark.parametrize("sampler", ["nsga2", "green"])
def test_it_is_tried_again_and_all_is_charged(sampler: SamplerName) -> None:
    problem = Accidents(2, "crashed")
    result = searched(problem, sampler)
    assert [row.state for row in result.trials] == ["complete"] * 3
    assert problem.begun == 3
    assert result.spent.kwh == pytest.approx((3 + 2 / 2) * SPENT_KWH)


@pytest.mark.parametrize(
    ("accidents", "cause", "needed", "begun"),
    [
        (9, "crashed", True, 3),  # bounded
        (9, "diverged", True, 1),  # it would again
        (9, "crashed", False, 1),  # nobody is compared with it
    ],
)
def test_not_for_ever_not_for_any_cause_and_not_for_any_trial(
    accidents: int, cause: str, needed: bool, begun: int
) -> None:
    problem = Accidents(accidents, cause, needed)
    result = searched(problem)
    assert [row.state for row in result.trials] == ["failed", "complete", "complete"]
    assert problem.begun == begun

"""Which models answer best together: against scikit-learn's losses of every set of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import log_loss, mean_squared_error

from contracts.shipped import shipped, table
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.stages.ensemble import mean_answers
from greenfront.objectives.tuning.ensembles import MOST_TOGETHER, best_together
from greenfront.objectives.tuning.members import Validation
from greenfront.objectives.tuning.plans import Member
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.knobs import Value


def fitted(runner: TrialRunner, trial: int, family: str, **shape: Value) -> Member:
    candidate = Candidate(ArchitectureChoice(f"sklearn:{family}", tuple(shape.items())))
    return Member(trial, candidate.to_json(), runner.run(candidate).artefact, 1.0)


@pytest.fixture(scope="module", params=["classes", "numbers"])
def members(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Validation, list[Member], Path]:
    """Six models, the worst on validation first, with the trials 10 to 15."""
    folder, numbers = tmp_path_factory.mktemp("members"), request.param == "numbers"
    runner = shipped(table(folder, number=numbers), "mlp", folder).runner
    line = [("ridge", {"alpha": c}) for c in (1.0, 1e3)]
    if not numbers:
        line = [("logistic", {"c": c}) for c in (1.0, 1e-3)]
    found = [fitted(runner, 0, family, **shape) for family, shape in line]
    found += [fitted(runner, 0, "extra_trees", trees=10, leaf=leaf) for leaf in (1, 8)]
    boosting = "hist_gradient_boosting"
    found += [
        fitted(runner, 0, boosting, rounds=rounds, rate=0.1, leaves=7) for rounds in (25, 100)
    ]
    validation, root = Validation(runner.runtime), runner.runtime.store.root
    gain = runner.runtime.judged_by.metric.gain
    found.sort(
        key=lambda one: gain(validation.score(validation.answers(root / one.artefact, one.model)))
    )
    return validation, [replace(one, trial=10 + place) for place, one in enumerate(found)], root


@pytest.mark.parametrize("turn", [1, -1], ids=["worst first", "best first"])
def test_they_lose_least_of_those_that_beat_the_first(
    members: tuple[Validation, list[Member], Path], turn: int
) -> None:
    validation, worst_first, root = members
    given, metric = worst_first[::turn], validation.runtime.judged_by.metric
    answers = [validation.answers(root / each.artefact, each.model) for each in given]

    def loss(mean: NDArray[np.float32]) -> float:
        if metric.of_numbers:
            return float(mean_squared_error(validation.labels, mean[:, 0]))
        return float(log_loss(validation.labels, softmax(mean.astype(np.float64), axis=1)))

    best, least = list[int](), loss(answers[0])
    for size in range(2, MOST_TOGETHER + 1):
        for chosen in itertools.combinations(range(len(given)), size):
            mean = mean_answers([answers[one] for one in chosen], numbers=metric.of_numbers)
            if metric.worse_by(validation.score(answers[0]), validation.score(mean)) <= 0:
                continue
            if loss(mean) < least:
                best, least = [given[one].trial for one in chosen], loss(mean)
    assert best_together(given, validation, root) == best
    # Nearly every set beats the worst one.
    assert best or turn == -1


def test_what_cannot_be_joined_is_passed_over(
    members: tuple[Validation, list[Member], Path],
) -> None:
    validation, (first, *others), root = members
    gone = replace(others[-1], artefact=str(Path("nowhere") / "model.onnx"))
    assert best_together([], validation, root) == []
    assert best_together([first], validation, root) == []
    assert best_together([first, gone], validation, root) == []
    together = best_together([first, gone, *others[:-1]], validation, root)
    assert together == best_together([first, *others[:-1]], validation, root) != []

"""A search for one number: the weighted loss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest

from contracts.problems import plain
from greenfront import PlainChoice, Problem, Real, SearchSpace, optimize_problem
from greenfront.errors import StudyFileError
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.scores import Weights, weighted_loss
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.problem import Evaluation, Objective
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.study import Direction

FACTS = StudyFacts(
    TaskFacts(
        "digits", (1, 8, 8), ("a", "b"), dict.fromkeys(("train", "validation"), 99), 0.5, "x"
    ),
    "cpu",
    mixed_precision=False,
)


def file(**sections: dict[str, Any]) -> StudyFile:
    usual: dict[str, dict[str, Any]] = {
        "task": {"kind": "digits"},
        "space": {"architectures": ["mlp", "cnn"], "references": False},
        "objectives": {"search": "weighted", "weights": [1.0, 2.0, 0.5]},
    }
    return StudyFile.from_stored(usual | sections)


class Sum(Problem[PlainChoice]):
    """Two objectives, of which the sampler learns the sum."""

    space = SearchSpace((Real("x", -1, 1),), decode=plain)
    objectives = (Objective("quality", maximise=True), Objective("cost"))
    reference = (-2.0, 2.0)

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        x = float(candidate.values["x"])
        return Evaluation((-abs(x), x**2), 1e-6)

    def told(
        self, values: tuple[float, ...], finished: Mapping[str, tuple[float, ...]]
    ) -> tuple[float, ...]:
        return (values[1] - values[0],)

    @property
    def told_directions(self) -> list[Direction]:
        return ["minimize"]


@pytest.mark.parametrize("sampler", ["nsga2", "tpe", "gp", "random"])
def test_a_sampler_learns_one_number_and_trials_keep_all(tmp_path: Path, sampler: Any) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    result = optimize_problem(Sum(), sampler=sampler, trials=14, seed=1, storage=url)
    complete = [t for t in result.study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    by_number = {trial.number: trial for trial in complete}
    assert len(result.trials) == 14
    for row in result.trials:
        assert row.values is not None
        assert len(row.values) == 2
        assert by_number[row.number].values == pytest.approx([row.values[1] - row.values[0]])
    again = optimize_problem(Sum(), sampler=sampler, trials=16, seed=1, storage=url)
    assert len(again.trials) == 16


def test_the_number_is_that_of_the_ranking() -> None:
    searched = NetworkProblem(file(), FACTS, Instruments(()))
    weak, strong = file().baseline_keys(FACTS)
    finished = {weak: (0.8, 1.0, 0.5), strong: (0.9, 4.0, 2.0), "other": (0.99, 9.0, 9.0)}
    values = (0.85, 2.0, 1.0)
    expected = weighted_loss(values, finished[strong], Weights(1.0, 2.0, 0.5), searched.metric)
    assert searched.told(values, finished) == (expected,)
    assert searched.told_directions == ["minimize"]
    # The first baseline is measured by itself.
    assert searched.told(values, {}) == pytest.approx((3.5,))


def test_usually_samplers_learn_of_all_objectives() -> None:
    searched = NetworkProblem(file(objectives={}), FACTS, Instruments(()))
    assert searched.told((0.8, 1.0, 0.5), {}) == (0.8, 1.0, 0.5)
    assert searched.told_directions == ["maximize", "minimize", "minimize"]


@pytest.mark.parametrize("sampler", ["green", "nsga3"])
def test_samplers_of_several_objectives_are_refused(sampler: str) -> None:
    with pytest.raises(StudyFileError, match="needs several objectives"):
        file(search={"sampler": sampler})


def test_weights_without_any_are_refused() -> None:
    with pytest.raises(StudyFileError, match="one of them above 0"):
        file(objectives={"search": "weighted", "weights": [0.0, 0.0, 0.0]})


def test_a_search_for_one_number_is_another_study() -> None:
    pareto = file(objectives={})
    assert file().identity("data") != pareto.identity("data")
    # Weights that nobody asks for change nothing.
    assert file(objectives={"weights": [2.0, 1.0, 1.0]}).identity("data") == pareto.identity("data")

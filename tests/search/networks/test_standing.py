"""Whether a measured model is on the front for certain, given how well its cost is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.readings import Reading
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.search.networks.judge import Dominated
from greenfront.search.networks.problem import NetworkProblem
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile

FACTS = StudyFacts(
    TaskFacts(
        "digits", (1, 8, 8), ("a", "b"), dict.fromkeys(("train", "validation"), 99), 0.5, "x"
    ),
    "cpu",
    mixed_precision=False,
)


def energy(joules: float) -> Reading:
    return Reading(joules, joules, joules, "measured", "counter", joules, joules)


def model(joules: float, score: float = 0.9, training: float = 3.6e6) -> Outcome:
    phases = {"train": energy(training)}
    return Outcome(score, phases, energy(joules), 1.0, 1, 1, 1, 0.0, 1, None, "x", graph="g")


def problem(**limits: float) -> NetworkProblem:
    data = {"task": {"kind": "digits"}, "space": {"architectures": ["mlp"]}, "limits": limits}
    file = StudyFile.from_stored({**data, "objectives": {"predictions": 3.6e6}})
    return NetworkProblem(file, FACTS, detect())


def beaten_by(dearest: float) -> Dominated:
    """Everything that costs more kWh in all is dominated."""

    def dominated(values: Sequence[float]) -> str | None:
        return "by another" if values[1] > dearest else None

    return dominated


@pytest.mark.parametrize(("dearest", "said"), [(2.5, "out"), (3.5, "open"), (4.5, "in")])
def test_the_ends_of_its_interval_decide(dearest: float, said: str) -> None:
    # 1 kWh of training, and 2 to 3 of predictions.
    assert problem()._judge.standing(model(2.0), model(3.0), beaten_by(dearest)) == said


@pytest.mark.parametrize(("limit", "said"), [(1.5, "out"), (2.5, "open"), (3.5, "in")])
def test_limits_decide_as_well(limit: float, said: str) -> None:
    searched = problem(inference_joules=limit)
    assert searched._judge.standing(model(2.0), model(3.0), beaten_by(9.0)) == said


def test_one_of_the_same_graph_dominates_whatever_that_costs() -> None:
    searched = problem()
    sibling = model(2.5, training=1.8e6)
    searched._judge.keep(sibling)
    # Its best case is cheaper than the sibling as that was measured.
    assert searched._judge.standing(model(1.0), model(4.0), beaten_by(9.0)) == "out"
    better = (model(1.0, score=0.95), model(4.0, score=0.95))
    assert searched._judge.standing(*better, beaten_by(9.0)) == "in"
    other = (replace(model(1.0), graph="h"), replace(model(4.0), graph="h"))
    assert searched._judge.standing(*other, beaten_by(9.0)) == "in"


def test_reasons_are_told_in_units() -> None:
    limited = problem(inference_joules=1.5e-3, latency_seconds=2.0, artefact_bytes=1000)
    assert limited._judge.over_limit(model(1.23456e-3)) is None
    dear = limited._judge.over_limit(model(2.3456e-3))
    assert dear == "2.35 mJ is over the 1.50 mJ of [limits] inference_joules"
    slow = limited._judge.over_limit(replace(model(1e-3), latency_seconds=150.0))
    assert slow == "2.50 min is over the 2.00 s of [limits] latency_seconds"
    large = limited._judge.over_limit(replace(model(1e-3), artefact_bytes=1234))
    assert large == "1.23 kB is over the 1.00 kB of [limits] artefact_bytes"
    best = limited.in_words((0.97123, 1.23456e-5, 5.8642e-6))
    assert best == "accuracy 97.1%, 12.3 mWh, 5.86 mg CO₂"

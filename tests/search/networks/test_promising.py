"""What a race does not try: what saves nothing that is looked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.search.networks.problem import NetworkProblem
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile

SIZES = dict.fromkeys(("train", "validation"), 99)
FACTS = StudyFacts(
    TaskFacts("digits", (1, 8, 8), ("a", "b"), SIZES, 0.5, "x"),
    "cpu",
    mixed_precision=False,
    int8={"cnn": 0.5, "mlp": 1.5},
)


def tried(**sections: dict[str, Any]) -> set[tuple[str, int]]:
    """Families and bits of what is raced among many points."""
    file = StudyFile.from_stored(
        {
            "task": {"kind": "digits"},
            "space": {"architectures": ["mlp", "cnn"], "bits": [32, 16, 8, 4]},
            **sections,
        }
    )
    problem, rng = NetworkProblem(file, FACTS, Instruments(())), np.random.default_rng(0)
    drawn = [problem.space.decode(problem.space.sample(rng)) for _ in range(300)]
    kept = [candidate for candidate in drawn if problem.promising(candidate)]
    return {(each.architecture.family, each.precision.bits) for each in kept}


@pytest.mark.parametrize("targets", [{}, {"energy_reduction": 0.5}])
def test_packed_weights_are_not_raced(targets: dict[str, Any]) -> None:
    assert tried(targets=targets) == {("mlp", 32), ("cnn", 32), ("cnn", 8)}


def test_but_for_who_wants_small_files() -> None:
    both = {(family, bits) for family in ("mlp", "cnn") for bits in (32, 16, 8, 4)}
    assert tried(targets={"size_bytes": 10_000}) == both

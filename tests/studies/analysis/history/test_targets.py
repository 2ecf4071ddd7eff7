"""Targets in absolute numbers, and who reaches them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from greenfront.objectives.metrics import Metric
from greenfront.objectives.scores import Tolerance
from greenfront.studies.analysis.history.targets import excess_words, goal_of
from greenfront.studies.config.sections import TargetsSection

ACCURACY = Metric("accuracy", nothing=0.1)
ERROR = Metric("rmse", nothing=10.0)


def model(latency_seconds: float = 0.002, artefact_bytes: int = 3000) -> Any:
    return SimpleNamespace(latency_seconds=latency_seconds, artefact_bytes=artefact_bytes)


def test_all_targets_count_and_the_worst_miss_comes_first() -> None:
    targets = TargetsSection(
        energy_reduction=0.75, accuracy_drop=0.02, latency_seconds=0.001, size_bytes=1000
    )
    goal = goal_of(targets, Tolerance(0.5), ACCURACY, 0.9, 4e-6)
    assert goal is not None
    assert goal.least == pytest.approx(0.88)
    assert goal.limits == {"energy": pytest.approx(1e-6), "latency": 0.001, "size": 1000}
    assert goal.excesses(2.5e-6, model()) == pytest.approx(
        {"size": 3.0, "energy": 2.5, "latency": 2.0}
    )
    assert list(goal.excesses(2.5e-6, model())) == ["size", "energy", "latency"]
    assert excess_words(goal.excesses(2.5e-6, model(0.001, 2000))) == (
        "energy 2.50 times and size 2.00 times the target"
    )
    assert goal.met_by(0.881, 1e-6, model(0.001, 1000))
    assert not goal.met_by(0.879, 1e-6, model(0.001, 1000))
    assert not goal.met_by(0.9, 1.1e-6, model(0.001, 1000))
    assert "accuracy at least 88.0%" in goal.told


def test_of_errors_less_is_accurate() -> None:
    goal = goal_of(TargetsSection(accuracy_drop=0.1), Tolerance(0.5), ERROR, 2.0, None)
    assert goal is not None
    assert goal.least == pytest.approx(3.0)  # a tenth of the error of what has learnt nothing
    assert goal.is_accurate(2.9)
    assert not goal.is_accurate(3.1)


def test_the_study_says_how_accurate_is_enough_where_the_targets_do_not() -> None:
    goal = goal_of(TargetsSection(size_bytes=10), Tolerance(0.05), ACCURACY, 0.9, None)
    assert goal is not None
    assert goal.least == pytest.approx(0.85)
    assert goal.excesses(1.0, model(artefact_bytes=10)) == {}


def test_without_targets_or_without_their_baseline_there_is_no_goal() -> None:
    assert goal_of(TargetsSection(), Tolerance(0.05), ACCURACY, 0.9, 1e-6) is None
    saving = TargetsSection(energy_reduction=0.5, size_bytes=10)
    assert goal_of(saving, Tolerance(0.05), ACCURACY, 0.9, None) is None

"""Metrics, thresholds, weights and losses in a study file: what may be said of which target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from greenfront.errors import StudyFileError
from greenfront.objectives.tasks.task import TargetScale
from greenfront.spaces.network_space import baseline_candidates, network_space
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile


def study(**sections: dict[str, Any]) -> StudyFile:
    return StudyFile.from_stored({"task": {"kind": "digits"}, **sections})


@pytest.fixture
def number_facts(table_facts: StudyFacts) -> StudyFacts:
    scale = TargetScale(5.0, 2.0, constant_rmse=2.0, constant_mae=1.5, name="dose")
    task = replace(table_facts.task, class_names=(), majority_fraction=0.0, target=scale)
    return replace(table_facts, task=task)


def test_the_metric_follows_from_the_target_unless_it_is_named(
    table_facts: StudyFacts, number_facts: StudyFacts
) -> None:
    assert study().metric(number_facts).name == "r2"
    named = study(objectives={"metric": "mae"}).metric(number_facts)
    assert (named.nothing, named.unit, named.maximise) == (1.5, "in units of 'dose'", False)
    with pytest.raises(StudyFileError, match="metric 'mae' does not fit task 'wine'"):
        study(objectives={"metric": "mae"}).metric(table_facts)


def test_a_class_may_be_called_by_a_number(table_facts: StudyFacts) -> None:
    task = replace(table_facts.task, class_names=("0", "1"))
    facts = replace(table_facts, task=task)
    assert study(objectives={"positive": 0}).metric(facts).positive == 0
    assert study(objectives={"positive": "1"}).metric(facts).positive == 1
    with pytest.raises(StudyFileError, match=r"positive must name one of two classes.*'2'"):
        study(objectives={"positive": 2}).metric(facts)


@pytest.mark.parametrize("threshold", ["auto", "tuned", 0.3])
def test_thresholds(threshold: object) -> None:
    assert study(objectives={"threshold": threshold}).objectives.threshold == threshold


@pytest.mark.parametrize("threshold", ["half", 0.0, 1.0, True])
def test_other_thresholds_are_refused(threshold: object) -> None:
    with pytest.raises(StudyFileError, match=r"\[objectives\] threshold"):
        study(objectives={"threshold": threshold})


def test_other_metrics_are_refused() -> None:
    with pytest.raises(StudyFileError, match=r"\[objectives\] metric.*'balanced_accuracy'"):
        study(objectives={"metric": "auc"})


def test_defaults_keep_the_identity_and_other_values_change_it() -> None:
    usual = study().identity("f")
    assert study(objectives={"threshold": "auto"}, training={"loss": "mse"}).identity("f") == usual
    for changed in (
        study(objectives={"metric": "roc_auc"}),
        study(objectives={"threshold": 0.3}),
        study(training={"class_weights": "balanced"}),
        study(task={"kind": "digits", "target_kind": "class"}),
    ):
        assert changed.identity("f") != usual


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ({"class_weights": "balanced"}, "class_weights: it is for classes"),
        ({"label_smoothing": 0.1}, "label_smoothing: it is for classes"),
    ],
)
def test_what_is_for_classes_is_refused_for_numbers(
    number_facts: StudyFacts, training: dict[str, Any], told: str
) -> None:
    with pytest.raises(StudyFileError, match=rf"\[training\] {told}.* is a number: leave it out"):
        study(training=training).options(number_facts)


def test_what_is_for_numbers_is_refused_for_classes(table_facts: StudyFacts) -> None:
    with pytest.raises(StudyFileError, match=r"\[training\] loss: it is for numbers"):
        study(training={"loss": "huber"}).options(table_facts)


def test_losses_and_weights_are_searched_where_there_are_several(
    table_facts: StudyFacts, number_facts: StudyFacts
) -> None:
    both = study(training={"class_weights": ["none", "balanced"]}).options(table_facts)
    assert "class_weights" in [knob.name for knob in network_space(both).knobs]
    huber = study(training={"loss": ["huber", "mse"]}).options(number_facts)
    assert "loss" in [knob.name for knob in network_space(huber).knobs]
    baseline = baseline_candidates(huber)[0]
    assert baseline.training.loss == "huber"
    assert baseline.to_json()["training"]["loss"] == "huber"
    usual = baseline_candidates(study().options(number_facts))[0]
    assert {"loss", "class_weights"}.isdisjoint(usual.to_json()["training"])


def test_numbers_are_distilled_without_a_temperature(
    table_facts: StudyFacts, number_facts: StudyFacts
) -> None:
    file = study(space={"temperature": [1.0, 8.0]})
    names = {
        facts.task.regression: [knob.name for knob in network_space(file.options(facts)).knobs]
        for facts in (table_facts, number_facts)
    }
    assert "distillation" in names[True]
    assert "temperature" in names[False]
    assert "temperature" not in names[True]

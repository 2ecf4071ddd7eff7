"""Targets that are numbers: which labels they are, how they are split and standardised."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.errors import DataError
from greenfront.objectives.tasks.labels import encode_labels, target_kind
from greenfront.objectives.tasks.raw import Raw, array_inputs
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.split import assemble
from greenfront.objectives.tasks.task import Task, TaskFacts

RNG = np.random.default_rng(0)
SETTINGS = TaskSettings(kind="toy:load")


def task_of(labels, **settings) -> Task:
    values = np.asarray(labels)
    raw = Raw("toy", array_inputs(RNG.normal(size=(len(values), 2)), "toy"), values)
    return assemble(raw, dataclasses.replace(SETTINGS, **settings), seed=3)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["a", "b"], "class"),
        ([True, False], "class"),
        ([0, 1, 2], "class"),
        ([0.0, 1.0, 2.0, np.nan], "class"),
        (np.arange(101), "number"),
        (np.repeat(np.arange(101), 10), "class"),
        (np.repeat(np.arange(100), 2), "class"),
        ([0.5, 1.0, 1.5], "number"),
        ([0.5, 1.0, 1.5] * 3, "class"),
        (np.repeat(np.arange(21) / 2, 10), "number"),
        (np.array([25.0, 346.0, 141.0, 75.5], dtype=np.float32), "number"),
    ],
)
def test_which_labels_are_numbers(labels, kind) -> None:
    assert target_kind(np.asarray(labels)) == kind


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60), st.randoms())
def test_the_kind_depends_on_neither_order_nor_scale(labels, random) -> None:
    values = np.array(labels)
    kind = target_kind(values)
    random.shuffle(labels)
    assert target_kind(np.array(labels)) == kind
    assert target_kind(np.concatenate([values, [np.nan, np.inf]])) == kind


def test_the_user_has_the_last_word() -> None:
    whole = np.arange(3).repeat(5)
    numbers, names = encode_labels(whole, "toy", "number")
    assert names == ()
    np.testing.assert_array_equal(numbers, whole.astype(np.float64))
    classes, names = encode_labels(np.arange(200).repeat(3), "toy", "class")
    assert len(names) == 200
    assert classes.dtype == np.int64
    with pytest.raises(DataError, match=r"toy: target_kind = 'number' needs a target of numbers"):
        encode_labels(np.array(["1", "2"] * 5), "toy", "number")
    with pytest.raises(DataError, match=r"at least 3 examples.*target_kind = 'number' in \[task\]"):
        encode_labels(np.array([1, 2, 3, 4] * 2), "toy")


def test_training_numbers_are_standardised() -> None:
    labels = RNG.normal(1000, 5, 400)
    task = task_of(labels, eval_fraction=0.5)
    scale = task.facts.target
    assert task.facts.regression
    assert task.facts.outputs == 1
    assert task.facts.class_counts == {}
    assert scale is not None
    assert task.train.labels.dtype == np.float32
    assert task.train.labels.mean() == pytest.approx(0, abs=1e-5)
    assert task.train.labels.std() == pytest.approx(1, abs=1e-5)
    assert task.facts.sizes == {"train": 240, "validation": 80, "test": 80, "evaluation": 40}
    whole = task.whole_validation
    assert whole is not None
    kept = np.concatenate([part.labels for part in (task.train, whole, task.test)])
    np.testing.assert_allclose(np.sort(scale.original(kept)), np.sort(labels), rtol=1e-6)
    np.testing.assert_array_equal(scale.standardised(scale.original(kept)), kept)


def test_what_a_constant_errs_by() -> None:
    task = task_of(RNG.exponential(3, 300))
    scale = task.facts.target
    assert scale is not None
    wanted = scale.original(task.validation.labels)
    trained = scale.original(task.train.labels)
    assert scale.constant_rmse == pytest.approx(np.sqrt(np.mean((wanted - trained.mean()) ** 2)))
    assert scale.constant_mae == pytest.approx(np.abs(wanted - np.median(trained)).mean())


def test_classes_are_counted_in_each_split() -> None:
    facts = task_of([0] * 30 + [1] * 10, eval_fraction=0.5).facts
    assert facts.class_counts == {
        "train": (18, 6),
        "validation": (6, 2),
        "test": (6, 2),
        "evaluation": (3, 1),
    }
    assert (facts.regression, facts.outputs, facts.target) == (False, 2, None)


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (1e8 + np.arange(40) / 8, {}, r"must vary by more than 1/100000 .* subtract a constant"),
        (
            np.arange(40) + 0.5,
            {"test_fraction": 0.01},
            r"at least 2 examples of each split, but there are 31 train, 8 validation, 1 test",
        ),
        (np.arange(40) + 0.5, {"eval_fraction": 0.1}, r"of which 1 judge trials: add"),
        (np.full(40, 0.5), {"target_kind": "number"}, r"2 values, but has 40 and 1"),
    ],
)
def test_numbers_that_cannot_be_learnt_or_judged_are_refused(labels, settings, message) -> None:
    with pytest.raises(DataError, match=message):
        task_of(labels, **settings)


def test_facts_of_before_are_those_of_classes() -> None:
    facts = TaskFacts("toy", (2,), ("a", "b"), {"train": 3}, 0.5, "f00d")
    assert (facts.regression, facts.outputs, facts.class_counts) == (False, 2, {})

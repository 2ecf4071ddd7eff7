"""Folds: each row that is not for the test validates once, and nothing else changes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.tasks.folds import possible_folds, rotated
from greenfront.objectives.tasks.predefined_splits import PredefinedSplits
from greenfront.objectives.tasks.raw import Raw, array_inputs
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.split import assemble, split_indices

SETTINGS = TaskSettings(kind="my_data:load")


def splits(labels, first=None, **fractions):
    shares = {"validation_fraction": 0.2, "test_fraction": 0.2} | fractions
    return split_indices(labels, seed=0, first=first, **shares)


@given(
    counts=st.lists(st.integers(20, 60), min_size=1, max_size=4),
    validation=st.floats(0.1, 0.4),
    seed=st.integers(0, 2**32),
)
def test_the_folds_of_a_split(counts, validation, seed):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    own = splits(labels, validation_fraction=validation)
    folds = possible_folds(own, labels)
    # About as many as validation splits fit into what is not for the test.
    assert folds == 1 + max(1, round(len(own["train"]) / len(own["validation"])))
    judged = []
    for fold in range(folds):
        found = rotated(own, labels, fold, seed=seed)
        np.testing.assert_array_equal(found["test"], own["test"])
        everything = np.concatenate(list(found.values()))
        np.testing.assert_array_equal(np.sort(everything), np.arange(len(labels)))
        judged.append(found["validation"])
        again = rotated(own, labels, fold, seed=seed)
        assert all((again[split] == rows).all() for split, rows in found.items())
    # Stratified: of each class each part has as many as the others, to one example.
    dealt = np.array([np.bincount(labels[rows], minlength=len(counts)) for rows in judged[1:]])
    assert (np.ptp(dealt, axis=0) <= 1).all()
    whole = np.sort(np.concatenate(judged))
    np.testing.assert_array_equal(whole, np.sort(np.setdiff1d(np.arange(len(labels)), own["test"])))


def test_the_first_fold_is_the_split_as_it_is():
    labels = np.repeat(np.arange(2), 50)
    own = splits(labels)
    assert all((rotated(own, labels, 0, seed=5)[split] == own[split]).all() for split in own)
    with pytest.raises(ValueError, match=r"fold must be from 0 to 3, got 4"):
        rotated(own, labels, 4, seed=0)


def test_copies_stay_within_one_split():
    labels = np.tile(np.arange(2), 150)
    first = np.arange(300) // 6 * 6 + np.arange(300) % 2  # three copies of each, of one class
    own = splits(labels, first)
    assert possible_folds(own, labels, first) == 4
    for fold in range(4):
        found = rotated(own, labels, fold, seed=0, first=first)
        for one, other in [("train", "validation"), ("train", "test"), ("validation", "test")]:
            assert not set(first[found[one]]) & set(first[found[other]])


def test_a_class_that_is_too_small_leaves_the_split_as_it_is():
    labels = np.array([0] * 60 + [1] * 4)  # two of the class to train on, for three parts
    own = splits(labels)
    assert np.bincount(labels[own["train"]])[1] == 2
    assert possible_folds(own, labels) == 1


def raw_data(**more):
    labels = np.tile(np.arange(2), 50)
    inputs = np.random.default_rng(0).normal(size=(100, 2))
    return Raw("toy", array_inputs(inputs, "toy"), labels, **more)


def test_the_task_of_a_fold_is_another_one():
    own = assemble(raw_data(), SETTINGS, seed=0)
    tasks = [assemble(raw_data(), SETTINGS, seed=0, fold=fold) for fold in range(4)]
    assert own.facts == tasks[0].facts
    assert own.facts.folds == 4
    # Keys of what stages leave begin with the fingerprint: no fold finds what another has left.
    assert len({task.facts.fingerprint for task in tasks}) == 4
    assert {tuple(task.facts.sizes.values()) for task in tasks} == {(60, 20, 20)}
    for task in tasks:  # encoded by what the fold trains on
        assert task.train.inputs.mean(axis=0) == pytest.approx(np.zeros(2), abs=1e-6)
        np.testing.assert_array_equal(task.test.labels, own.test.labels)


def test_a_validation_split_of_ones_own_is_not_rotated():
    mine = np.arange(100) < 20
    brought = raw_data(own=PredefinedSplits(is_validation=mine))
    assert assemble(brought, SETTINGS, seed=0).facts.folds == 1
    tested = raw_data(own=PredefinedSplits(is_test=mine))
    assert assemble(tested, SETTINGS, seed=0).facts.folds > 1
    partly = dataclasses.replace(SETTINGS, eval_fraction=0.5)
    assert assemble(raw_data(), partly, seed=0).facts.folds == 1

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.errors import DataError
from greenfront.objectives.tasks.labels import encode_labels
from greenfront.objectives.tasks.predefined_splits import PredefinedSplits
from greenfront.objectives.tasks.raw import Raw, array_inputs
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.split import assemble, evaluation_rows, split_indices
from greenfront.objectives.tasks.standardise import standardise

SETTINGS = TaskSettings(kind="my_data:load")


def raw_data(labels, inputs=None):
    labels = np.asarray(labels)
    if inputs is None:
        inputs = np.random.default_rng(0).normal(size=(len(labels), 2))
    return Raw("toy", array_inputs(inputs, "toy"), labels)


@given(
    counts=st.lists(st.integers(3, 40), min_size=1, max_size=6),
    validation=st.floats(0.01, 0.49),
    test=st.floats(0.01, 0.49),
    seed=st.integers(0, 2**32),
)
def test_split_properties(counts, validation, test, seed):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    keys = {"validation_fraction": validation, "test_fraction": test, "seed": seed}
    indices = split_indices(labels, **keys)
    everything = np.concatenate(list(indices.values()))
    np.testing.assert_array_equal(np.sort(everything), np.arange(len(labels)))
    for split, fraction in [("validation", validation), ("test", test)]:
        dealt = np.bincount(labels[indices[split]], minlength=len(counts))
        assert np.all(dealt >= 1)
        assert np.all(np.abs(dealt - fraction * np.array(counts)) <= 1)
    assert np.all(np.bincount(labels[indices["train"]], minlength=len(counts)) >= 1)
    for split, rows in split_indices(labels, **keys).items():
        np.testing.assert_array_equal(rows, indices[split])


@given(st.floats(0.01, 0.98), st.floats(0.01, 0.98))
def test_every_split_gets_a_class_of_three(validation, test):
    indices = split_indices(
        np.zeros(3, np.int64), validation_fraction=validation, test_fraction=test, seed=0
    )
    assert [len(rows) for rows in indices.values()] == [1, 1, 1]


def test_any_start_of_a_split_mixes_classes():
    labels = np.repeat(np.arange(2), 500)
    indices = split_indices(labels, validation_fraction=0.2, test_fraction=0.2, seed=0)
    for rows in indices.values():
        assert set(labels[rows[:40]]) == {0, 1}


@given(
    counts=st.lists(
        st.tuples(st.integers(2, 40), st.integers(0, 20)), min_size=1, max_size=6
    ).filter(lambda counts: any(held_out for _, held_out in counts)),
    validation=st.floats(0.01, 0.98),
    seed=st.integers(0, 2**32),
)
def test_split_properties_with_a_test_split_of_its_own(counts, validation, seed):
    others, held_out = np.array(counts).T
    labels = np.repeat(np.tile(np.arange(len(counts)), 2), np.concatenate([others, held_out]))
    is_test = np.arange(len(labels)) >= others.sum()
    keys = {"validation_fraction": validation, "test_fraction": 0.01, "seed": seed}
    indices = split_indices(labels, **keys, own=PredefinedSplits(is_test))
    everything = np.concatenate(list(indices.values()))
    np.testing.assert_array_equal(np.sort(everything), np.arange(len(labels)))
    np.testing.assert_array_equal(np.sort(indices["test"]), np.flatnonzero(is_test))
    dealt = np.bincount(labels[indices["validation"]], minlength=len(counts))
    assert np.all(dealt >= 1)
    assert np.all(np.abs(dealt - validation * others) <= 1)
    assert np.all(np.bincount(labels[indices["train"]], minlength=len(counts)) >= 1)
    for split, rows in split_indices(labels, **keys, own=PredefinedSplits(is_test)).items():
        np.testing.assert_array_equal(rows, indices[split])


def test_classes_must_be_trained_on_besides_their_own_test_split():
    raw = raw_data(["a"] * 6 + ["b"] * 6)
    raw = dataclasses.replace(raw, own=PredefinedSplits(np.arange(12) >= 7))
    with pytest.raises(
        DataError, match=r"toy: .* at least 2 .* there are only 1 in class 'b': add"
    ):
        assemble(raw, SETTINGS, seed=0)


@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=200),
    fractions=st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)),
)
def test_evaluation_properties(labels, fractions):
    labels = np.array(labels)
    small, large = (evaluation_rows(labels, fraction) for fraction in sorted(fractions))
    assert set(small) <= set(large) <= set(range(len(labels)))
    assert len(set(large)) == len(large)
    counts = np.bincount(labels)
    for rows, fraction in zip((small, large), sorted(fractions), strict=True):
        chosen = np.bincount(labels[rows], minlength=len(counts))
        assert np.all(chosen >= (counts > 0))
        assert np.all(np.abs(chosen - fraction * counts) <= 1)
        np.testing.assert_array_equal(evaluation_rows(labels, fraction), rows)
    np.testing.assert_array_equal(evaluation_rows(labels, 1.0), np.arange(len(labels)))


@given(fraction=st.floats(0.01, 0.99), seed=st.integers(0, 100))
def test_trials_are_judged_on_a_part_of_the_validation_split(fraction, seed):
    raw = raw_data(["a"] * 30 + ["b"] * 90 + ["c"] * 3)
    whole = assemble(raw, SETTINGS, seed=seed)
    settings = dataclasses.replace(SETTINGS, eval_fraction=fraction)
    part = assemble(raw, settings, seed=seed)
    splits = [(part.train, whole.train), (part.test, whole.test)]
    for one, other in [*splits, (part.whole_validation, whole.validation)]:
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.labels, other.labels)
    rows = evaluation_rows(whole.validation.labels, fraction)
    np.testing.assert_array_equal(part.validation.inputs, whole.validation.inputs[rows])
    np.testing.assert_array_equal(part.validation.labels, whole.validation.labels[rows])
    assert set(part.validation.labels) == {0, 1, 2}
    assert part.facts.sizes == {**whole.facts.sizes, "evaluation": len(rows)}
    assert part.facts.majority_fraction == np.mean(part.validation.labels == 1)
    assert part.facts.fingerprint != whole.facts.fingerprint
    assert assemble(raw, settings, seed=seed).facts == part.facts


def test_the_whole_validation_split_is_one_object():
    task = assemble(raw_data([0, 1] * 20), SETTINGS, seed=0)
    assert task.whole_validation is None
    assert "evaluation" not in task.facts.sizes


def test_large_parts_of_the_validation_split_are_kept_in_a_file(tmp_path):
    labels = np.arange(3000) % 3
    raw = raw_data(labels, np.random.default_rng(0).integers(0, 9, (3000, 3, 60, 60), np.uint8))
    settings = dataclasses.replace(SETTINGS, validation_fraction=0.3, eval_fraction=0.8)
    first, again = (assemble(raw, settings, seed=0, cache=tmp_path) for _ in range(2))
    plain = assemble(raw, settings, seed=0)
    assert len(list(tmp_path.glob("encoded-*.npy"))) == 4
    for task in (first, again):
        assert isinstance(task.validation.inputs.base, np.memmap)
        assert task.facts == plain.facts
        np.testing.assert_array_equal(task.validation.inputs, plain.validation.inputs)


def test_majority_of_training_is_looked_up_in_validation():
    task = assemble(raw_data(["a"] * 10 + ["b"] * 30), SETTINGS, seed=0)
    assert task.facts.majority_fraction == pytest.approx(6 / 8)


def test_fingerprint_tells_data_labels_and_settings_apart_but_not_paths(tmp_path):
    raw = raw_data([0, 1] * 6)
    one = TaskSettings(kind="arrays", path="/one/data.npz")
    fingerprints = {
        assemble(data, settings, seed=0).facts.fingerprint
        for data, settings in [
            (raw, one),
            (raw_data([0, 1] * 6, inputs=raw.inputs.values + 1), one),
            (dataclasses.replace(raw, labels=1 - raw.labels), one),
            (dataclasses.replace(raw, labels=np.array(["a", "b"] * 6)), one),
            (raw, dataclasses.replace(one, test_fraction=0.3)),
        ]
    }
    assert len(fingerprints) == 5
    moved = dataclasses.replace(one, path="/two/other.npz")
    assert assemble(raw, moved, seed=0).facts.fingerprint in fingerprints


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["no", "yes"] * 3, ("no", "yes")),
        ([10, 9] * 3, ("9", "10")),
        ([2.0, 1.0] * 3, ("1", "2")),
        ([0.5, 1.0] * 3, ("0.5", "1.0")),
        ([True, False] * 3, ("False", "True")),
        (np.repeat(np.arange(150), 10), tuple(str(name) for name in range(150))),
    ],
)
def test_class_names(labels, names):
    values = np.asarray(labels)
    indices, found = encode_labels(values, "toy")
    assert found == names
    np.testing.assert_array_equal(np.unique(values)[indices], values)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 9, r"toy: labels must name at least 2 classes, but hold 1 \('a'\): add"),
        (["a"] * 9 + ["b"] * 2, "toy: a class needs at least 3 .* only 2 in class 'b': add"),
        (np.linspace(0, 1, 9), "toy: a target that is a number .* 10 examples .* has 9 and 9: add"),
        ([0, 1, np.nan] * 3, "toy: every example needs a label, but 3 of 9 labels are NaN"),
        (np.eye(3), r"toy: labels must be one .* shape is \(3, 3\): .*argmax"),
        (np.array([1 + 2j]), "toy: labels must be numbers or strings, but .* complex128: convert"),
        (np.array([None, "a"]), "toy: labels must be numbers or strings, but .* object"),
    ],
)
def test_bad_labels_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        encode_labels(np.asarray(labels), "toy")


def test_many_small_classes_are_not_all_listed():
    with pytest.raises(DataError, match="and some in 12 more"):
        encode_labels(np.array([f"c{index}" for index in range(20)]), "toy")


def test_lengths_must_agree():
    raw = raw_data([0, 1] * 6)
    with pytest.raises(DataError, match=r"toy: .* there are 12 inputs and 11 labels: check"):
        assemble(dataclasses.replace(raw, labels=raw.labels[1:]), SETTINGS, seed=0)


def test_constant_features_become_zero():
    values = np.array([[0.1, 5, 1e-200], [0.1, 5, 0], [0.1, 7, 0]])
    result = standardise(values, np.array([0, 1]), names=["a", "b", "c"], source="toy")
    np.testing.assert_array_equal(result, np.zeros((3, 3)))


def test_images_are_standardised_by_channel():
    values = np.random.default_rng(0).integers(0, 256, (6, 3, 4, 4), dtype=np.uint8)
    result = standardise(values, np.arange(4), names=["r", "g", "b"], source="toy")
    train = values[:4].astype(np.float64)
    mean, deviation = (
        getattr(train, name)(axis=(0, 2, 3), keepdims=True) for name in ("mean", "std")
    )
    wanted = (values - np.round(mean)) / deviation
    np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-6)


def test_values_beyond_float32_are_refused():
    values = np.array([[0.0, 0], [1e-9, 1], [1e37, 2]])
    with pytest.raises(DataError, match=r"toy: .* within float32, but .* 1 in width: rescale"):
        standardise(values, np.array([0, 1]), names=["width", "height"], source="toy")


def test_a_validation_split_of_its_own_is_kept():
    raw = raw_data(["a", "b"] * 10)
    own = PredefinedSplits(np.arange(20) >= 16, (np.arange(20) >= 12) & (np.arange(20) < 16))
    task = assemble(dataclasses.replace(raw, own=own), SETTINGS, seed=0)
    assert task.facts.sizes == {"train": 12, "validation": 4, "test": 4}
    tested = assemble(
        dataclasses.replace(raw, own=PredefinedSplits(None, own.is_validation)), SETTINGS, seed=0
    )
    assert tested.facts.sizes["validation"] == 4
    assert tested.facts.sizes["test"] == round(0.2 * 8) * 2

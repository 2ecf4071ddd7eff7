from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.tasks.copies import copy_notes, first_copies
from greenfront.objectives.tasks.split import split_indices


def test_first_copies():
    assert first_copies("abcab").tolist() == [0, 1, 2, 0, 1]
    assert first_copies([]).tolist() == []


@given(
    texts=st.lists(st.integers(0, 30), min_size=3, max_size=120),
    validation=st.floats(0.01, 0.5),
    test=st.floats(0.01, 0.45),
    seed=st.integers(0, 2**32),
)
def test_copies_stay_within_one_split_where_there_are_enough_others(texts, validation, test, seed):
    first = first_copies(texts)
    labels = np.zeros(len(texts), dtype=np.int64)
    keys = {"validation_fraction": validation, "test_fraction": test, "seed": seed}
    indices = split_indices(labels, **keys, first=first)
    everything = np.sort(np.concatenate(list(indices.values())))
    np.testing.assert_array_equal(everything, np.arange(len(texts)))
    assert all(len(rows) for rows in indices.values())
    held = [set(first[rows]) for rows in indices.values()]
    if len(set(texts)) >= 3:
        assert sum(map(len, held)) == len(set(texts))


@given(count=st.integers(3, 100), seed=st.integers(0, 2**32))
def test_without_copies_splits_are_what_they_were(count, seed):
    labels = np.arange(count) % (1 if count < 6 else 2)
    keys = {"validation_fraction": 0.2, "test_fraction": 0.3, "seed": seed}
    plain = split_indices(labels, **keys)
    for split, rows in split_indices(labels, **keys, first=np.arange(count)).items():
        np.testing.assert_array_equal(rows, plain[split])


def test_a_text_with_many_copies_is_trained_on():
    """It is too much for what is held out, whichever place the shuffle gives it."""
    first = first_copies([0] * 60 + list(range(1, 41)))
    for seed in range(20):
        indices = split_indices(
            np.zeros(100, np.int64),
            validation_fraction=0.2,
            test_fraction=0.2,
            seed=seed,
            first=first,
        )
        assert {split: len(rows) for split, rows in indices.items()} == {
            **{"train": 60, "validation": 20, "test": 20}
        }


def test_notes():
    labels = np.array([0, 0, 0, 0, 1, 1])
    indices = {"train": np.array([0, 4]), "validation": np.array([1, 2]), "test": np.array([3, 5])}
    assert copy_notes(None, labels, indices) == []
    assert copy_notes(first_copies("abcdef"), labels, indices) == []
    assert copy_notes(first_copies("abbdef"), labels, indices) == [
        "1 of the 6 examples are copies of others, which are kept within one split"
    ]
    assert copy_notes(first_copies("abbded"), labels, indices)[1:] == [
        "of 1 of them the copies are of different classes, which no model can tell apart"
    ]
    assert copy_notes(first_copies("aacdef"), labels, indices) == [
        "1 of the 6 examples are copies of others",
        "1 of the 2 examples of the validation split are copies of ones to train on: what is "
        "measured there flatters",
    ]
    torn = {**indices, "train": np.array([1, 4]), "validation": np.array([0, 2])}
    assert copy_notes(first_copies("abcdeb"), labels, torn) == [
        "1 of the 6 examples are copies of others",
        "of 1 of them the copies are of different classes, which no model can tell apart",
    ]

from __future__ import annotations

import numpy as np
import pytest

from greenfront.errors import DataError
from greenfront.objectives.tasks.predefined_splits import split_word, splits_of_column


@pytest.mark.parametrize(
    ("word", "split"),
    [
        *[(word, "train") for word in ("train", "Training", " TRAIN ")],
        *[(word, "validation") for word in ("val", "valid", "Validation", "dev")],
        *[(word, "test") for word in ("test", "Testing", "holdout")],
        *[(word, None) for word in ("", "trains", "cat", "1")],
    ],
)
def test_words(word, split):
    assert split_word(word) == split


def test_a_column_of_splits():
    own = splits_of_column(["train", "dev", "train", "test"], ["a", "b", "c", "d"], "part", "toy")
    np.testing.assert_array_equal(own.is_test, [False, False, False, True])
    np.testing.assert_array_equal(own.is_validation, [False, True, False, False])
    assert splits_of_column(["train", "test"], ["a", "b"], "part", "toy").is_validation is None
    assert splits_of_column(["train", "val"], ["a", "b"], "part", "toy").is_test is None


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            ["train", "tset"],
            r"toy, row 2: split_column 'part' must say .* but says 'tset': correct",
        ),
        (["train", None], r"toy, row 2: split_column .* says None"),
        (["train", "train"], r"toy: split_column 'part' must name rows .* says 'train' in all"),
        (["test", "val"], r"toy: .* must name rows to train on .* says 'test', 'validation'"),
    ],
)
def test_columns_that_split_nothing_are_refused(cells, message):
    with pytest.raises(DataError, match=message):
        splits_of_column(cells, ["row 1", "row 2"], "part", "toy")

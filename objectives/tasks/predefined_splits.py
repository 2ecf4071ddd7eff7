"""Predefined splits: those that data bring along, by the words that people use for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError

__all__ = [
    "NO_SPLITS",
    "PredefinedSplits",
    "Split",
    "split_word",
    "splits_of_column",
    "splits_of_words",
]

Split = Literal["train", "validation", "test"]

_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "hold-out", "hold_out"), "test"),
}


@dataclass(frozen=True, slots=True)
class PredefinedSplits:
    """Which examples belong to which split, as the data say.

    Attributes:
        is_test: bool ``[n]``; ``None`` where the data name no test split.
        is_validation: bool ``[n]``; ``None`` where they name no validation split.
    """

    is_test: NDArray[np.bool_] | None = None
    is_validation: NDArray[np.bool_] | None = None

    def given(self) -> dict[Split, NDArray[np.bool_]]:
        """The splits that the data name."""
        named: dict[Split, NDArray[np.bool_] | None] = {
            "test": self.is_test,
            "validation": self.is_validation,
        }
        return {split: rows for split, rows in named.items() if rows is not None}


NO_SPLITS = PredefinedSplits()


def split_word(word: str) -> Split | None:
    """The split that a word such as ``dev`` or ``Holdout`` stands for; ``None`` for others."""
    return _WORDS.get(word.strip().lower())


def splits_of_column(
    cells: Sequence[Any], places: Sequence[str], column: str, source: str
) -> PredefinedSplits:
    """Reads a column that says of each example which split it belongs to.

    Args:
        cells: One an example.
        places: Names of the examples, for messages.
        column: Name of the column.
        source: Name of the data.

    Raises:
        DataError: A cell holds none of the known words, all examples are of one split, or none is
            left to train on.
    """
    splits: list[Split] = []
    for cell, place in zip(cells, places, strict=True):
        split = split_word(cell) if isinstance(cell, str) else None
        if split is None:
            raise DataError(
                f"{source}, {place}: split_column {column!r} must say 'train', 'validation' or "
                f"'test' in every row, but says {cell!r}: correct it, or name another column"
            )
        splits.append(split)
    if "train" not in splits or set(splits) == {"train"}:
        raise DataError(
            f"{source}: split_column {column!r} must name rows to train on and others to test or "
            f"validate on, but says {', '.join(map(repr, sorted(set(splits)))) or 'nothing'} in "
            "all rows: correct it, or leave split_column out"
        )
    return splits_of_words(splits)


def splits_of_words(words: Sequence[str]) -> PredefinedSplits:
    """The splits of examples by a known word for each."""
    found = np.array([split_word(word) for word in words], dtype=str)
    is_test, is_validation = found == "test", found == "validation"
    return PredefinedSplits(
        is_test if is_test.any() else None, is_validation if is_validation.any() else None
    )

"""Columns whose texts have been understood: numbers, or levels of a category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.tables.cells import MISSING, Column
from greenfront.objectives.tasks.tables.reading import Reading

__all__ = ["Levels", "Numbers", "Reading", "Values", "as_levels", "as_numbers"]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers.

    Attributes:
        name: Of the column.
        reading: How its texts were read.
        values: float64 ``[n, numbers a cell]``; NaN in all of them where the cell is missing.
    """

    name: str
    reading: Reading
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Levels:
    """A column of texts that recur.

    Attributes:
        name: Of the column.
        levels: Its distinct texts, sorted.
        codes: int64 ``[n]``, indices into ``levels``, or ``MISSING``.
    """

    name: str
    levels: tuple[str, ...]
    codes: NDArray[np.int64]


Values = Numbers | Levels


def as_numbers(column: Column, reading: Reading) -> Numbers:
    """Reads a column's texts as numbers; what is none is missing."""
    by_text = reading.numbers(column.texts)
    with_missing = np.vstack([by_text, np.full((1, by_text.shape[1]), np.nan)])
    return Numbers(column.name, reading, with_missing[column.codes])


def as_levels(column: Column) -> Levels:
    """Takes a column's texts as names."""
    order = sorted(range(len(column.texts)), key=column.texts.__getitem__)
    places = np.full(len(order) + 1, MISSING, dtype=np.int64)
    places[order] = np.arange(len(order))
    return Levels(column.name, tuple(column.texts[i] for i in order), places[column.codes])

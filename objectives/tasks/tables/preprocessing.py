"""What makes a table's columns into the inputs of networks, learnt from some of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.standardise import Scale, check_scaled
from greenfront.objectives.tasks.tables.cells import MISSING
from greenfront.objectives.tasks.tables.values import Levels, Numbers, Reading, Values

__all__ = ["CategoryStep", "NumberStep", "Preprocessing", "fit"]

MOST_LEVELS = 1000
"""A category's most frequent texts; each of the others becomes 0 in all of its places."""


@dataclass(frozen=True, slots=True)
class NumberStep:
    """What is done with a column of numbers.

    Attributes:
        column: Its name.
        reading: How its texts are read.
        fills: What stands in for missing values, one a number: the medians.
        scales: Mean and deviation of each number, missing ones filled.
        indicator: Whether a further input says that the value was missing.
    """

    column: str
    reading: Reading
    fills: tuple[float, ...]
    scales: tuple[Scale, ...]
    indicator: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Of the inputs, the indicator apart."""
        return self.reading.names(self.column)

    def apply(self, values: Values) -> NDArray[np.float32]:
        """The scaled numbers, float32 ``[n, len(names)]``."""
        assert isinstance(values, Numbers)
        result = np.empty(values.values.shape, dtype=np.float32)
        for place, (fill, scale) in enumerate(zip(self.fills, self.scales, strict=True)):
            numbers = values.values[:, place]
            scale.into(result[:, place], np.where(np.isnan(numbers), fill, numbers))
        return result

    def missing(self, values: Values) -> NDArray[np.float32]:
        """1 where there is no value, ``[n, 1]``."""
        assert isinstance(values, Numbers)
        return np.isnan(values.values[:, :1]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class CategoryStep:
    """What is done with a column of texts that recur.

    Attributes:
        column: Its name.
        levels: The texts that have an input of their own, sorted.
        fill: What stands in for a missing value: the most frequent text.
        indicator: Whether a further input says that the value was missing.
    """

    column: str
    levels: tuple[str, ...]
    fill: str
    indicator: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Of the inputs, the indicator apart."""
        return tuple(f"{self.column} = {level}" for level in self.levels)

    def apply(self, values: Values) -> NDArray[np.float32]:
        """1 in the place of the text and 0 in the others, float32 ``[n, len(levels)]``."""
        assert isinstance(values, Levels)
        places = {level: place for place, level in enumerate(self.levels)}
        known = [places.get(level, MISSING) for level in values.levels]
        codes = np.array([*known, places.get(self.fill, MISSING)], dtype=np.int64)[values.codes]
        return np.asarray(codes[:, None] == np.arange(len(self.levels)), dtype=np.float32)

    def missing(self, values: Values) -> NDArray[np.float32]:
        """1 where there is no text, ``[n, 1]``."""
        assert isinstance(values, Levels)
        return np.asarray(values.codes == MISSING, dtype=np.float32)[:, None]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """All that makes cells into inputs: plain numbers and texts, which JSON can keep.

    Inputs stand in this order: numbers, places of categories, indicators of missing values.

    Attributes:
        steps: One a column; those of numbers first.
    """

    steps: tuple[NumberStep | CategoryStep, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """One an input."""
        told = [name for step in self.steps for name in step.names]
        return (*told, *(f"{step.column} is missing" for step in self.steps if step.indicator))

    def apply(self, columns: Sequence[Values], source: str) -> NDArray[np.float32]:
        """Makes inputs of columns, which stand in the order of the steps.

        Args:
            columns: Of any rows.
            source: Name of the data, for messages.

        Returns:
            ``[n, len(names)]``, without NaN.

        Raises:
            DataError: A scaled number is too large for float32.
        """
        pairs = list(zip(self.steps, columns, strict=True))
        made = [step.apply(values) for step, values in pairs]
        told = [step.missing(values) for step, values in pairs if step.indicator]
        inputs = np.concatenate([*made, *told], axis=1, dtype=np.float32)
        check_scaled(inputs, self.names, source)
        return inputs


def fit(columns: Sequence[Values], train: NDArray[np.int64]) -> Preprocessing:
    """Learns medians, scales and levels from the training rows alone.

    Args:
        columns: Those of numbers first.
        train: Indices of the training rows, at least one.
    """
    return Preprocessing(
        tuple(
            _fit_numbers(column, train)
            if isinstance(column, Numbers)
            else _fit_levels(column, train)
            for column in columns
        )
    )


def _fit_numbers(column: Numbers, train: NDArray[np.int64]) -> NumberStep:
    fills, scales = [], []
    missing = np.isnan(column.values[train, 0])
    for values in column.values.T:
        known = values[train][~missing]
        fill = float(np.median(known)) if len(known) else 0.0
        fills.append(fill)
        scales.append(Scale.of(np.where(missing, fill, values[train])))
    return NumberStep(column.name, column.reading, tuple(fills), tuple(scales), bool(missing.any()))


def _fit_levels(column: Levels, train: NDArray[np.int64]) -> CategoryStep:
    codes = column.codes[train]
    counts = np.bincount(codes[codes != MISSING], minlength=len(column.levels))
    # The most frequent ones; of equally frequent ones the first.
    frequent = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
    kept = np.sort(frequent[counts[frequent] > 0]).tolist()
    fill = column.levels[int(counts.argmax())] if kept else ""
    return CategoryStep(
        column=column.name,
        levels=tuple(column.levels[code] for code in kept),
        fill=fill,
        indicator=bool((codes == MISSING).any()),
    )

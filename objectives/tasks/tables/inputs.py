"""A table's features, to be encoded once the training rows are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.codec import to_json
from greenfront.objectives.tasks.raw import buffer
from greenfront.objectives.tasks.tables.preprocessing import MOST_LEVELS, Preprocessing, fit
from greenfront.objectives.tasks.tables.values import Levels, Numbers, Values

__all__ = ["TableInputs"]

_PLAIN = ("number", "boolean")


@dataclass(frozen=True, slots=True)
class TableInputs:
    """Features of which some are numbers and some are names.

    Attributes:
        source: Name of the table, for messages.
        columns: Those of numbers first.
        rows: Number of rows.
    """

    source: str
    columns: tuple[Values, ...]
    rows: int

    def __len__(self) -> int:
        return self.rows

    @property
    def numbers(self) -> tuple[Numbers, ...]:
        """The columns of numbers."""
        return tuple(column for column in self.columns if isinstance(column, Numbers))

    @property
    def levels(self) -> tuple[Levels, ...]:
        """The columns of names."""
        return tuple(column for column in self.columns if isinstance(column, Levels))

    def fit(self, train: NDArray[np.int64]) -> Preprocessing:
        """What makes inputs of these columns, learnt from the training rows."""
        return fit(self.columns, train)

    def encode(self, train: NDArray[np.int64]) -> NDArray[np.float32]:
        """Imputes, standardises numbers and makes names one-hot.

        Returns:
            ``[n, inputs]`` without NaN; see :class:`Preprocessing` for their order.

        Raises:
            DataError: A standardised number is too large for float32.
        """
        return self.fit(train).apply(self.columns, self.source)

    def encoded_bytes(self) -> int:
        """Four bytes a value, with every name of a column among the training rows."""
        numbers = sum(column.values.shape[1] for column in self.numbers)
        places = sum(min(len(column.levels), MOST_LEVELS) for column in self.levels)
        return 4 * self.rows * int(numbers + places + len(self.columns))

    def examples(self) -> Iterator[bytes]:
        """Each row's content, to find those that are alike."""
        numbers, codes = self._content()
        for row in np.concatenate([numbers, codes], axis=1, dtype=np.float64):
            yield row.tobytes()

    def parts(self) -> Iterator[bytes | memoryview]:
        """Yields names, levels and values; of what tables seldom have, only where they have it."""
        numbers, codes = self._content()
        yield json.dumps(
            [
                [name for each in self.numbers for name in each.reading.names(each.name)],
                [column.name for column in self.levels],
                [column.levels for column in self.levels],
            ]
        ).encode()
        yield buffer(numbers)
        yield buffer(codes)
        unusual = [to_json(c.reading) for c in self.numbers if c.reading.kind not in _PLAIN]
        if unusual:
            yield json.dumps(unusual).encode()

    def _content(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """All numbers, and all codes of names, ``[rows, …]``."""
        numbers = [np.empty((self.rows, 0)), *(column.values for column in self.numbers)]
        codes = [np.empty((self.rows, 0), np.int64), *(c.codes[:, None] for c in self.levels)]
        return np.concatenate(numbers, axis=1), np.concatenate(codes, axis=1)

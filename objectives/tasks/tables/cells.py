"""A table as text cells, each column by its distinct texts."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MISSING", "Cells", "Column", "ColumnBuilder", "joined"]

MISSING = -1
"""Code of an empty cell."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: As the header has it.
        texts: Its distinct texts in order of appearance, without blanks around them; none empty.
        codes: int64 ``[n]``, indices into ``texts``, or :data:`MISSING`.
        padded: How many distinct texts had blanks around them.
    """

    name: str
    texts: tuple[str, ...]
    codes: NDArray[np.int64]
    padded: int = 0

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def missing(self) -> int:
        """Number of empty cells."""
        return int(np.count_nonzero(self.codes == MISSING))

    def counts(self) -> NDArray[np.int64]:
        """How often each text occurs, ``[len(texts)]``."""
        return np.bincount(self.codes[self.codes != MISSING], minlength=len(self.texts))

    def cells(self) -> list[str | None]:
        """Every cell; ``None`` for an empty one."""
        return [None if code == MISSING else self.texts[code] for code in self.codes.tolist()]


@dataclass(frozen=True, slots=True)
class Cells:
    """A table.

    Attributes:
        source: Its file, for messages.
        columns: In the file's order, with distinct names.
        notes: What the reader made of the file, in words.
        comma_decimals: Whether a comma that could stand for either is the decimal one, as in
            files whose cells are separated by semicolons.
        unnamed: Names that were made up here, for columns without one.
        lines: The first line of each row in the file, int64 ``[n]``; ``None`` where it has none.
    """

    source: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    comma_decimals: bool = False
    unnamed: tuple[str, ...] = ()
    lines: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return [column.name for column in self.columns]

    def places(self) -> list[str]:
        """What each row is called in messages."""
        if self.lines is None:
            return [f"row {number}" for number in range(1, len(self) + 1)]
        return [f"line {line}" for line in self.lines.tolist()]

    def column(self, name: str) -> Column:
        """The column of this name."""
        return next(column for column in self.columns if column.name == name)


class ColumnBuilder:
    """Collects a column cell by cell: each distinct text is kept once."""

    def __init__(self) -> None:
        self._codes = array("q")
        self._places: dict[str, int] = {}

    def extend(self, cells: Iterable[str]) -> None:
        """Appends cells."""
        places = self._places
        self._codes.extend(places.setdefault(cell, len(places)) for cell in cells)

    def column(self, name: str) -> Column:
        """The column, blanks around its texts taken off."""
        stripped: dict[str, int] = {}
        mapping = np.empty(len(self._places), dtype=np.int64)
        padded = 0
        texts = [text.strip() for text in self._places]
        if texts == list(self._places) and "" not in self._places:
            codes = np.frombuffer(self._codes, dtype=np.int64).copy()
            return Column(name, tuple(texts), codes)
        for place, (text, bare) in enumerate(zip(self._places, texts, strict=True)):
            padded += bare != "" and bare != text
            mapping[place] = stripped.setdefault(bare, len(stripped)) if bare else MISSING
        codes = np.frombuffer(self._codes, dtype=np.int64)
        return Column(name, tuple(stripped), mapping[codes] if len(codes) else codes.copy(), padded)


def joined(first: Cells, second: Cells, names: Sequence[str]) -> Cells:
    """The rows of two tables one after the other.

    Args:
        first: Whose notes stay.
        second: Of the same kind.
        names: Columns that both have.
    """
    columns = []
    for name in names:
        builder = ColumnBuilder()
        for table in (first, second):
            builder.extend(cell or "" for cell in table.column(name).cells())
        columns.append(builder.column(name))
    return dataclasses.replace(first, columns=tuple(columns))

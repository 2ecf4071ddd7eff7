"""What a model takes of the rows of a table, and what it does not understand of them."""

from __future__ import annotations

import csv
import io
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.tables.numbers import MARKERS
from greenfront.objectives.tasks.tables.reading import Reading

__all__ = ["AT_ONCE", "Batch", "InputError", "chunks", "rows_of", "table_batches"]

AT_ONCE = 64
"""Examples a call."""

DELIMITERS = (",", ";", "\t", "|")

Batch = tuple[list[str], dict[str, NDArray[Any]]]
"""Names of some examples, and what the model takes for them."""


class InputError(Exception):
    """An input cannot be used; the message says why."""


def chunks(items: Iterable[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Some items at a time, with the number of those before."""
    rest, start = iter(items), 0
    while part := list(itertools.islice(rest, AT_ONCE)):
        yield start, part
        start += len(part)


def table_batches(told: Sequence[Mapping[str, Any]], text: str, source: str) -> Iterator[Batch]:
    """What the model takes of a table; cells that mean nothing to it are said on standard error.

    Args:
        told: What the model says of the columns that it takes.
        text: Of the table.
        source: Its name, for messages.

    Raises:
        InputError: It lacks a column.
    """
    columns = [TableColumn(each) for each in told]
    for start, part in chunks(rows_of(text, source, [column.name for column in columns])):
        made = [each.values([row.get(each.name) or "" for row in part]) for each in columns]
        yield [str(start + place) for place in range(1, len(part) + 1)], _fed(columns, made)
    for column in columns:
        if column.strays:
            sys.stderr.write(f"{source}: {column.complaint}\n")


class TableColumn:
    """A column of a table, what the model takes of it, and what it has not understood so far."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        step = told.get("step", told)
        self.name = str(step["column"])
        self.inputs: list[str] | None = told.get("inputs")
        self.reading: Reading | None = None
        self.levels = frozenset(map(str, step.get("levels", ())))
        self.strays, self.stray = 0, ""
        if "reading" in step:
            reading = {**step["reading"], "parts": tuple(step["reading"]["parts"])}
            self.reading = Reading(**reading)

    @property
    def complaint(self) -> str:
        """What was not understood."""
        why = f"the model has no input for {self.stray!r}"
        if self.reading is not None:
            form = f" of the form {self.reading.form}" if self.reading.form else ""
            why = f"{self.stray!r} is no {self.reading.kind}{form}"
        cells = "1 cell" if self.strays == 1 else f"{self.strays:,} cells"
        count = "counts" if self.strays == 1 else "count"
        return f"{cells} of {self.name!r} {count} as missing: {why}"

    def values(self, cells: Sequence[str]) -> NDArray[Any]:
        """Numbers ``[n, parts]``, or texts ``[n, 1]``."""
        texts = [cell.strip() for cell in cells]
        if self.reading is None:
            self._note([text for text in texts if text not in self.levels] if self.levels else [])
            return np.array(texts, dtype=object)[:, None]
        numbers = self.reading.numbers(texts)
        unread = np.flatnonzero(np.isnan(numbers).all(axis=1)).tolist()
        self._note([texts[row] for row in unread if texts[row].lower() not in MARKERS])
        return numbers

    def _note(self, texts: Iterable[str]) -> None:
        strays = [text for text in texts if text]
        if strays:
            self.strays, self.stray = self.strays + len(strays), self.stray or strays[0]


def _fed(columns: Sequence[TableColumn], made: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """All numbers side by side, and all categories; older models take each by itself."""
    if columns[0].inputs is not None:
        return {
            name: values[:, [place]]
            for column, values in zip(columns, made, strict=True)
            for place, name in enumerate(column.inputs or ())
        }
    feed: dict[str, NDArray[Any]] = {}
    for name, is_number in (("numbers", True), ("texts", False)):
        pairs = zip(columns, made, strict=True)
        parts = [values for column, values in pairs if (column.reading is not None) == is_number]
        if parts:
            feed[name] = np.concatenate(parts, axis=1)
    return feed


def rows_of(text: str, source: str, wanted: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a table, delimited by what makes all wanted columns of its header.

    Raises:
        InputError: It lacks some of them.
    """
    head = text.lstrip("\n").partition("\n")[0]
    found: list[str] = []
    for delimiter in DELIMITERS:
        names = [name.strip() for name in next(csv.reader([head], delimiter=delimiter), [])]
        if set(wanted) <= set(names):
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            next(reader)
            for row in reader:
                if row:
                    yield dict(zip(names, row, strict=False))
            return
        found = max(found, names, key=len)
    lacking = [name for name in wanted if name not in found]
    header = f"its header names {', '.join(map(repr, found))}" if found else "it is empty"
    raise InputError(
        f"{source}: the table must have the columns that the model learnt from, but lacks "
        f"{', '.join(map(repr, lacking))}; {header}"
    )

"""Reading delimited text: every row has its place, and what cannot be meant is named by line."""

from __future__ import annotations

import csv
import io
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from greenfront.errors import DataError
from greenfront.objectives.tasks.tables.cells import Cells, Column, ColumnBuilder
from greenfront.objectives.tasks.tables.sniff import Layout, records, sniff

__all__ = ["read_delimited"]

_CHUNK_ROWS = 4096
_UNNAMED = "Unnamed: {}"
_NAMES_OF_DELIMITERS = {"\t": "tabs", " ": "blanks"}


@dataclass(slots=True)
class _Rows:
    """The rows of a file as they are read.

    Attributes:
        source: For messages.
        layout: Of the file.
        builders: One a cell of a row.
        empty: Rows whose cells are all empty, which are left out.
        headers: Rows that repeat the header, which are left out.
        long: First and last line of each row with line breaks in it.
        lines: The first line of each row.
        open_quote: The line of a quote that nothing closes, where quotes are characters like any
            other; else ``None``.
    """

    source: str
    layout: Layout
    builders: list[ColumnBuilder]
    empty: int = 0
    headers: int = 0
    long: list[tuple[int, int]] = field(default_factory=list)
    lines: array[int] = field(default_factory=lambda: array("q"))
    open_quote: int | None = None

    def read(self, text: str, escape: str | None) -> None:
        """Reads all rows below the header.

        Raises:
            csv.Error: Quotes are wrong.
            DataError: A row is too short or too long.
        """
        chunk: list[list[str]] = []
        for record in self._records(text, escape):
            chunk.append(record)
            if len(chunk) == _CHUNK_ROWS:
                self._add(chunk)
                chunk = []
        self._add(chunk)

    def _records(self, text: str, escape: str | None) -> Iterator[list[str]]:
        width, left = self.layout.width, self.layout.skipped + self.layout.has_header
        header = list(self.layout.header) if self.layout.has_header else None
        quotes = self.open_quote is None
        reader = records(text, self.layout.delimiter, escape=escape, strict=quotes, quotes=quotes)
        line = 0
        while True:
            first = line + 1
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise _QuoteError(first, reader.line_num, str(error)) from error
            line = reader.line_num
            if not any(map(str.strip, record)):
                self.empty += len(record) > 1
                continue
            if left:
                left -= 1
                continue
            if len(record) != width:
                record = self._fitting(record, first)
            if header is not None and record[0].strip() == header[0] and self._is(record, header):
                self.headers += 1
                continue
            if line > first:
                self.long.append((first, line))
            self.lines.append(first)
            yield record

    @staticmethod
    def _is(record: Sequence[str], header: Sequence[str]) -> bool:
        return [cell.strip() for cell in record] == header

    def _fitting(self, record: list[str], line: int) -> list[str]:
        width = self.layout.width
        if len(record) > width and not any(map(str.strip, record[width:])):
            return record[:width]
        remedy = (
            "write every cell, also the empty ones"
            if len(record) < width
            else "put cells with separators in them in double quotes, or name every column"
        )
        raise DataError(
            f"{self.source}, line {line}: every row must have as many cells as the others, "
            f"{width}, but this one has {len(record)}: {remedy}"
        )

    def _add(self, chunk: Sequence[Sequence[str]]) -> None:
        for builder, cells in zip(self.builders, zip(*chunk, strict=True), strict=False):
            builder.extend(cells)


class _QuoteError(Exception):
    """A record that cannot be read.

    Attributes:
        first: Its first line.
        last: The line where the reader gave up.
        reason: In the reader's words.
    """

    def __init__(self, first: int, last: int, reason: str) -> None:
        super().__init__(reason)
        self.first, self.last, self.reason = first, last, reason


def read_delimited(text: str, source: str, *, target: str | None = None) -> Cells:
    """Reads a table whose cells are separated by commas, semicolons, tabs, bars or blanks.

    A line ``sep=;`` may say by which; lines above the header are passed over. Cells with
    separators or line breaks in them stand in double quotes. Where rows have one cell more than
    the header has names, R has written their names first, or a separator ends each row.

    Args:
        text: All of the file.
        source: Its name, for messages.
        target: A column that the header should name, which helps to find it.

    Raises:
        DataError: The file is empty, names a column twice, has rows of different lengths, or a
            quote that is not closed where it should be; the message names the line.
    """
    rows = _read(text, source, target)
    layout = rows.layout
    columns, notes = _named(rows)
    if target is not None:
        _check_swallowed(rows, columns, target, text)
    notes = [*_notes_on(rows, columns), *notes]
    return Cells(
        source=source,
        columns=tuple(columns),
        notes=tuple(notes),
        comma_decimals=layout.delimiter == ";",
        unnamed=tuple(column.name for column in columns if column.name not in layout.header),
        lines=np.frombuffer(rows.lines, dtype=np.int64),
    )


def _read(text: str, source: str, target: str | None) -> _Rows:
    """Reads quotes as spreadsheets write them, doubled, else behind backslashes.

    Where they are neither, they are characters like any other, if tabs separate cells, as in
    files that know no quoting, and none stands in quotes.
    """
    escapes = (None, "\\") if '\\"' in text else (None,)
    wrong: _QuoteError | None = None
    for escape in escapes:
        layout = sniff(text, target, escape=escape)
        if layout is None:
            raise DataError(
                f"{source}: this must be a CSV file with a header, but cannot be read (it is "
                "empty): write a line with the names of the columns, and one line for each row"
            )
        rows = _Rows(source, layout, [ColumnBuilder() for _ in range(layout.width)])
        try:
            rows.read(text, escape)
        except _QuoteError as error:
            wrong = wrong or error
        else:
            return rows
    assert wrong is not None
    plain = _without_quoting(text, source, sniff(text, target), wrong.first)
    if plain is not None:
        return plain
    raise DataError(
        f"{source}, line {wrong.first}: a quote that begins a cell must end it, too, but the one "
        f"that opens here does not (seen in line {wrong.last}: {wrong.reason}): close it, or "
        'double quotes that belong to a text and put the whole in quotes, as in """so"" she said"'
    ) from wrong


def _without_quoting(text: str, source: str, layout: Layout | None, line: int) -> _Rows | None:
    if layout is None or layout.delimiter != "\t":
        return None
    rows = _Rows(source, layout, [ColumnBuilder() for _ in range(layout.width)], open_quote=line)
    try:
        rows.read(text, None)
    except (DataError, _QuoteError):
        return None
    cells = (cell for builder in rows.builders for cell in builder.column("").texts)
    return None if any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells) else rows


def _named(rows: _Rows) -> tuple[list[Column], list[str]]:
    layout, source = rows.layout, rows.source
    header, notes = list(layout.header), []
    columns = [builder.column("") for builder in rows.builders]
    extra = len(columns) - len(header)
    if extra == 1 and columns[-1].missing == len(columns[-1]):
        columns.pop()
        notes.append("a separator ends each row, which is passed over")
    elif extra == 1 and len(columns[0].texts) == len(columns[0]):
        header.insert(0, "")
        notes.append("rows begin with names of their own, as R writes them")
    elif extra:
        raise DataError(
            f"{source}: every row must have as many cells as the header has names, "
            f"{len(header)}, but rows have {len(columns)}: name every column, or remove "
            "separators that end rows"
        )
    twice = [name for name, count in Counter(filter(None, header)).items() if count > 1]
    if twice:
        raise DataError(
            f"{source}: every column needs a name of its own, but the header has "
            f"{', '.join(map(repr, twice))} more than once: rename or remove one of them"
        )
    named = [
        Column(name or _UNNAMED.format(index), column.texts, column.codes, column.padded)
        for index, (name, column) in enumerate(zip(header, columns, strict=True))
        # Separators that end every line, the header too, make a column of nothing.
        if name or column.texts
    ]
    return named, notes


def _notes_on(rows: _Rows, columns: Sequence[Column]) -> Iterator[str]:
    layout = rows.layout
    if layout.delimiter != ",":
        name = _NAMES_OF_DELIMITERS.get(layout.delimiter, repr(layout.delimiter))
        yield f"cells are separated by {name}"
    if layout.skipped:
        yield f"lines above the header, passed over: {layout.skipped}"
    if not layout.has_header:
        yield "the file has no header: columns are called 0, 1, …"
    if rows.open_quote is not None:
        yield (
            f"the quote that opens in line {rows.open_quote} is never closed, and no cell stands "
            "in quotes: they are read as characters like any other"
        )
    if rows.headers:
        yield f"rows that repeat the header, left out: {rows.headers}"
    if rows.empty:
        yield f"rows without any value, left out: {rows.empty}"
    padded = [column.name for column in columns if column.padded]
    if padded:
        yield f"blanks around cells are taken off (in {', '.join(padded)})"


def _check_swallowed(rows: _Rows, columns: Sequence[Column], target: str, text: str) -> None:
    """Refuses a row of several lines that each look like one: a quote was forgotten in it."""
    place = next((i for i, column in enumerate(columns) if column.name == target), None)
    if place is None or len(columns) < 2 or not rows.long:
        return
    column = columns[place]
    alone = ~np.isin(np.frombuffer(rows.lines, dtype=np.int64), [first for first, _ in rows.long])
    usual = {column.texts[code] for code in np.unique(column.codes[alone]) if code >= 0}
    lines = list(io.StringIO(text, newline=""))  # cut as the reader of records cuts them
    for first, last in rows.long:
        split = [
            line.strip("\r\n").split(rows.layout.delimiter) for line in lines[first - 1 : last]
        ]
        if all(len(line) == len(columns) and line[place].strip(' "') in usual for line in split):
            raise DataError(
                f"{rows.source}, line {first}: the quote that opens here is closed only in line "
                f"{last}, and each line between looks like a row: close it, or double quotes that "
                "belong to a text and put the whole in quotes"
            )

"""How a delimited file is laid out: its delimiter, and where its header stands."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _csv import Reader

__all__ = ["Layout", "records", "sniff"]

_DELIMITERS = (",", ";", "\t", "|", " ")
"""Where two fit equally well, the first is meant."""
_SAMPLE_CHARACTERS = 2**17
_SAMPLE_RECORDS = 200
_FIRST_RECORDS = 20
"""Among these the header is looked for."""
_LONGEST_CELL = 2**30
_STATED = re.compile(r'[\s\ufeff]*"?sep=(.)"?[ \r]*(\n|$)', re.IGNORECASE)
_VALUE = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_MOSTLY = 0.9


@dataclass(frozen=True, slots=True)
class Layout:
    """How a delimited file is laid out.

    Attributes:
        delimiter: One character.
        skipped: Records above the header, blank lines not counted.
        header: The names, blanks around them taken off; ``0``, ``1``, … where the file has none.
        has_header: Whether the file has names.
        width: Cells of most rows below the header.
    """

    delimiter: str
    skipped: int
    header: tuple[str, ...]
    has_header: bool
    width: int


def sniff(text: str, target: str | None, *, escape: str | None = None) -> Layout | None:
    """Finds the layout of a file.

    Args:
        text: All of the file.
        target: A column that the header should name: it tells a header from what stands above
            it, and a file without one, whose columns are called by number.
        escape: What stands before quotes within quotes, where they are not doubled.

    Returns:
        ``None`` for an empty file.
    """
    sample = text[:_SAMPLE_CHARACTERS]
    if len(text) > len(sample):
        sample = sample[: sample.rfind("\n") + 1] or sample
    stated = _STATED.match(sample)
    scored = [
        found
        for delimiter in ([stated[1]] if stated else _DELIMITERS)
        if (found := _scored(sample, delimiter, target, escape)) is not None
    ]
    return max(scored, key=lambda found: found[0])[1] if scored else None


def records(
    text: str, delimiter: str, *, escape: str | None = None, strict: bool, quotes: bool = True
) -> Reader:
    """A reader of a delimited text's records; blank lines are empty records.

    Without ``quotes`` these are characters like any other.
    """
    csv.field_size_limit(_LONGEST_CELL)
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        escapechar=escape,
        strict=strict,
        skipinitialspace=True,
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
    )


def _scored(
    sample: str, delimiter: str, target: str | None, escape: str | None
) -> tuple[tuple[float, ...], Layout] | None:
    reader = records(sample, delimiter, escape=escape, strict=False)
    stripped = ([cell.strip() for cell in record] for record in reader)
    first = list(itertools.islice((row for row in stripped if any(row)), _SAMPLE_RECORDS))
    if not first:
        return None
    naming = (i for i, record in enumerate(first[:_FIRST_RECORDS]) if target in _names(record))
    start = next(naming, None)
    named = start is not None
    if start is None:
        start = _first_that_says_something(first)
    header, rows = _names(first[start]), first[start + 1 :]
    width, rows_as_wide = Counter(map(len, rows)).most_common(1)[0] if rows else (len(header), 1)
    has_header = named or not _holds_values(header, rows)
    layout = Layout(
        delimiter=delimiter,
        skipped=start,
        header=tuple(header if has_header else map(str, range(len(header)))),
        has_header=has_header,
        width=width,
    )
    # A header that names the target speaks loudest, then rows as wide as it.
    agreement = rows_as_wide / max(1, len(rows))
    rank = _DELIMITERS.index(delimiter) if delimiter in _DELIMITERS else 0
    score = (named, len(header) > 1, len(header) == width, agreement, -rank)
    return score, layout


def _names(record: Sequence[str]) -> list[str]:
    """A header's names; the first may follow a comment sign."""
    return [record[0].lstrip("# "), *record[1:]] if record else []


def _first_that_says_something(first: Sequence[Sequence[str]]) -> int:
    for index, record in enumerate(first[:-1]):
        if not record[0].startswith(("#", "sep=")):
            return index
    return len(first) - 1


def _holds_values(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a first record looks like the rows below it: numbers above numbers.

    Numbers from 0 on are the names that NumPy and pandas give.
    """
    if not rows or list(header) == [str(index) for index in range(len(header))]:
        return False
    return any(
        _VALUE.fullmatch(name) and sum(_is_value(row, index) for row in rows) >= _MOSTLY * len(rows)
        for index, name in enumerate(header)
    )


def _is_value(row: Sequence[str], index: int) -> bool:
    return index < len(row) and _VALUE.fullmatch(row[index]) is not None

"""The rows of a file of texts: a table, JSON Lines or a JSON array."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenfront.errors import DataError
from greenfront.objectives.tasks.tables.cells import Cells
from greenfront.objectives.tasks.tables.decode import Decoded, decoded
from greenfront.objectives.tasks.tables.files import delimited, is_parquet, read_parquet

__all__ = ["TextRows", "read_rows"]

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class TextRows:
    """The content of a file.

    Attributes:
        columns: Each column's cells by its name, in order of appearance; ``None`` for what is
            missing.
        places: Of each row, for messages.
        notes: What the reader made of the file, in words.
        is_json: Whether cells have types of their own; else all are ``str``.
    """

    columns: dict[str, list[Any]]
    places: tuple[str, ...]
    notes: tuple[str, ...] = ()
    is_json: bool = False

    def __len__(self) -> int:
        return len(self.places)

    def and_then(self, other: TextRows, columns: Sequence[str]) -> TextRows:
        """The rows of two files one after the other, with some columns that both have."""
        return TextRows(
            {name: self.columns[name] + other.columns[name] for name in columns},
            self.places + other.places,
            (*self.notes, *(note for note in other.notes if note not in self.notes)),
            self.is_json or other.is_json,
        )


def read_rows(path: Path, *, target: str, encoding: str | None) -> TextRows:
    """Reads a delimited text, Parquet, one JSON object a line, or a JSON array of objects.

    A file that begins with a brace or a bracket is taken for JSON. In a table every word stands for
    itself: ``NA`` and ``none`` are classes like any other, and only an empty cell is missing.

    Args:
        path: The file.
        target: A column that the header of a table should name.
        encoding: Python's name of it; ``None``: found out.

    Raises:
        DataError: It cannot be read; the message names the line.
    """
    if is_parquet(path):
        return _of_cells(read_parquet(path))
    found = decoded(path, encoding)
    begin = found.text.lstrip()[:1]
    if begin == "[" or begin == "{":
        rows = _array(found.text, path) if begin == "[" else _lines(found.text, path)
        return _of_objects(rows, found)
    return _of_cells(delimited(found, path, target))


def _of_cells(cells: Cells) -> TextRows:
    columns = {column.name: list[Any](column.cells()) for column in cells.columns}
    return TextRows(columns, tuple(cells.places()), cells.notes)


def _of_objects(rows: Sequence[tuple[str, dict[str, Any]]], found: Decoded) -> TextRows:
    names = dict.fromkeys(name for _, row in rows for name in row)
    return TextRows(
        {name: [row.get(name) for _, row in rows] for name in names},
        tuple(place for place, _ in rows),
        found.notes,
        is_json=True,
    )


def _lines(content: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    rows = []
    # Not splitlines, which splits at characters, too, that may stand inside a JSON string.
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        rule = f"{path}, line {number}: every line must be one JSON object, but this one"
        row = _parsed(line, rule, "write each object on a line of its own, or all in one array")
        rows.append((f"line {number}", _checked(row, rule)))
    return rows


def _array(content: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    rule = f"{path}: a file that begins with [ must be one JSON array of objects, but"
    found = _parsed(content, rule, "correct it, or write one object a line")
    return [
        (f"entry {number}", _checked(row, f"{rule} entry {number}"))
        for number, row in enumerate(found, start=1)
    ]


def _parsed(content: str, rule: str, remedy: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{rule} cannot be read ({error}): {remedy}") from error


def _checked(row: Any, rule: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        shown = json.dumps(row)[:_SHOWN]
        raise DataError(f'{rule} is {shown}: write {{"text": …, "class": …}} for each row')
    return row

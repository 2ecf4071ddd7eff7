"""Kind ``text``: a CSV or JSON Lines file with one text and one class a row."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.columns import (
    check_column,
    check_text_column,
    check_widths,
    separator,
)
from greenfront.objectives.tasks.copies import first_copies
from greenfront.objectives.tasks.own_splits import NO_SPLITS, OwnSplits, own_splits
from greenfront.objectives.tasks.paths import existing_file
from greenfront.objectives.tasks.raw import Raw
from greenfront.objectives.tasks.settings import TaskSettings

__all__ = ["Texts", "checked_texts", "read"]

_USUAL_COLUMN = "text"


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts, which each network tokenises in its own way.

    Attributes:
        values: ``str`` objects ``[n]``, none of them blank.
    """

    values: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, train: NDArray[np.int64]) -> NDArray[np.object_]:  # noqa: ARG002
        """The texts as they are."""
        return self.values

    def encoded_bytes(self) -> int:
        """0: objects cannot be cached."""
        return 0

    def parts(self) -> Iterator[bytes | memoryview]:
        """Yields every text."""
        for text in self.values:
            yield text.encode()


@dataclass(frozen=True, slots=True)
class _Rows:
    """The content of a file.

    Attributes:
        columns: Names, in order of appearance.
        cells: Each row by column; what is missing is absent or ``None``.
        places: Of each row, for messages.
        is_json: Whether cells have types of their own.
    """

    columns: list[str]
    cells: list[dict[str, Any]]
    places: list[str]
    is_json: bool


def read(settings: TaskSettings) -> Raw:
    """Reads a table with commas, semicolons or tabs, or one JSON object a line.

    A file that begins with a brace is taken for JSON Lines. In a table every word stands for
    itself: ``NA`` and ``none`` are classes like any other, and only an empty cell is missing.

    Raises:
        DataError: If the file is missing or cannot be read, lacks a named column, or if a row has
            no text or no label.
    """
    path = existing_file(settings)
    rows, own = _rows(path), NO_SPLITS
    if settings.test_path is not None:
        added = _rows(existing_file(settings, "test_path"))
        own = OwnSplits(np.arange(len(rows.cells) + len(added.cells)) >= len(rows.cells))
        rows = _Rows(
            rows.columns,
            rows.cells + added.cells,
            [
                *(f"{path}, {place}" for place in rows.places),
                *(f"{settings.test_path}, {place}" for place in added.places),
            ],
            rows.is_json,
        )
    text, target = _names(settings, rows.columns, path)
    labels = _labels(rows, target, path)
    found = [row.get(text) for row in rows.cells]
    if settings.split_column is not None:
        check_column("split_column", settings.split_column, rows.columns, str(path))
        cells = [row.get(settings.split_column) for row in rows.cells]
        own = own_splits(cells, rows.places, settings.split_column, str(path))
    texts = checked_texts(found, rows.places, text, str(path))
    return Raw(
        str(path),
        texts,
        np.asarray(labels) if rows.is_json else _as_numbers(np.asarray(labels, dtype=str)),
        own,
        first=first_copies(text.strip() for text in texts.values),
    )


def _rows(path: Path) -> _Rows:
    content = _content(path)
    is_json = content.lstrip()[:1] in ("{", "[")
    return _objects(content, path) if is_json else _table(content, path)


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: this must be a CSV or JSON Lines file in UTF-8, but cannot be read "
            f"({error}): correct the file, or write it again"
        ) from error


def _objects(content: str, path: Path) -> _Rows:
    rows = _Rows([], [], [], is_json=True)
    # Not splitlines, which splits at characters, too, that may stand inside a JSON string.
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        rule = f"{path}, line {number}: every line must be one JSON object, but this one "
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{rule}cannot be read ({error}): write each object on a line of its own"
            ) from error
        if not isinstance(row, dict):
            raise DataError(f'{rule}is {line[:60]}: write {{"text": …, "class": …}} on each line')
        rows.cells.append(row)
        rows.places.append(f"line {number}")
    rows.columns.extend(dict.fromkeys(name for row in rows.cells for name in row))
    return rows


def _table(content: str, path: Path) -> _Rows:
    import pandas as pd

    header = content.partition("\n")[0]
    try:
        frame = pd.read_csv(
            io.StringIO(content),
            sep=separator(header),
            skipinitialspace=True,
            dtype=str,
            keep_default_na=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(
            f"{path}: this must be a CSV file with a header, or JSON Lines, but cannot be read "
            f"({str(error).strip()}): put texts with separators in double quotes"
        ) from error
    check_widths(frame, str(path), "put texts with separators in double quotes")
    columns = [str(name) for name in frame.columns]
    cells = [
        {
            name: cell if isinstance(cell, str) else None
            for name, cell in zip(columns, row, strict=True)
        }
        for row in frame.itertuples(index=False, name=None)
    ]
    return _Rows(
        columns, cells, [f"row {number}" for number in range(1, len(cells) + 1)], is_json=False
    )


def _names(settings: TaskSettings, columns: Sequence[str], path: Path) -> tuple[str, str]:
    text, target = settings.text_column or _USUAL_COLUMN, str(settings.target)
    check_column("text_column", text, columns, str(path))
    check_column("target", target, columns, str(path))
    check_text_column(text, target, str(path))
    return text, target


def checked_texts(found: Sequence[Any], places: Sequence[str], column: str, source: str) -> Texts:
    """Checks that every cell of a column is a text.

    ``places`` name the cells in messages.

    Raises:
        DataError: A cell is missing, blank, no text, or no Unicode.
    """
    _refuse_missing(found, places, f"{source}: every row needs a text, but {{}} none in {column!r}")
    for text, place in zip(found, places, strict=True):
        if not isinstance(text, str):
            raise DataError(
                f"{source}, {place}: {column!r} must be a text, but is {text!r}: write it in quotes"
            )
        if not _is_unicode(text):
            raise DataError(
                f"{source}, {place}: {column!r} must be Unicode, but holds half of a surrogate "
                f"pair ({ascii(text)[:60]}): write the file again from the original text"
            )
    values = np.empty(len(found), dtype=object)
    values[:] = found
    return Texts(values)


def _labels(rows: _Rows, column: str, path: Path) -> list[Any]:
    found = [row.get(column) for row in rows.cells]
    _refuse_missing(
        found, rows.places, f"{path}: every row needs a target, but {{}} none in {column!r}"
    )
    kinds = {str: "a name", bool: "true or false", int: "a number", float: "a number"}
    first = kinds.get(type(found[0])) if found else None
    for label, place in zip(found, rows.places, strict=True):
        if kinds.get(type(label)) is None or kinds[type(label)] != first:
            wanted = first or "a name or a number"
            raise DataError(
                f"{path}, {place}: {column!r} must be {wanted}, as in every row, but is "
                f"{json.dumps(label)[:60]}: write all classes alike"
            )
    return found


def _refuse_missing(found: Sequence[Any], places: Sequence[str], rule: str) -> None:
    missing = [
        place
        for value, place in zip(found, places, strict=True)
        # A number that differs from itself is JSON's NaN.
        if value is None or value != value or (isinstance(value, str) and not value.strip())
    ]
    if missing:
        have = f"{len(missing)} of {len(found)} (the first is {missing[0]}) have"
        raise DataError(f"{rule.format(have)}: fill them in, or remove these rows")


def _as_numbers(labels: NDArray[np.str_]) -> NDArray[Any]:
    """The labels of a table as numbers where all of them are: class 10 comes after class 9."""
    for kind in (np.int64, np.float64):
        try:
            return labels.astype(kind)
        except (OverflowError, ValueError):
            continue
    return labels


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Kind ``text``: a file with one text and one class a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import category, normalize

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.columns import check_column, check_text_column
from greenfront.objectives.tasks.copies import first_copies
from greenfront.objectives.tasks.paths import existing_file
from greenfront.objectives.tasks.predefined_splits import (
    NO_SPLITS,
    PredefinedSplits,
    splits_of_column,
)
from greenfront.objectives.tasks.raw import Raw
from greenfront.objectives.tasks.settings import TargetKind, TaskSettings
from greenfront.objectives.tasks.tables.cells import ColumnBuilder
from greenfront.objectives.tasks.tables.target import read_target
from greenfront.objectives.tasks.text_rows import TextRows, read_rows

__all__ = ["Texts", "checked_texts", "read", "row_labels"]

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
        """Yields every text, and whether networks are given marks that they once were not."""
        for text in self.values:
            yield text.encode()
        if any(map(_has_marks, self.values)):
            yield b"accents and other marks are kept"


def read(settings: TaskSettings) -> Raw:
    """Reads a table, JSON Lines or a JSON array, and a second such file with the test split.

    Raises:
        DataError: If a file is missing or cannot be read, lacks a named column, or if a row has
            no text or no label.
    """
    path = existing_file(settings)
    rows, own = _rows(path, settings, "path"), NO_SPLITS
    if settings.test_path is not None:
        apart = existing_file(settings, "test_path")
        added = _rows(apart, settings, "test_path")
        rows, added = _placed(rows, path), _placed(added, apart)
        own = PredefinedSplits(np.arange(len(rows) + len(added)) >= len(rows))
        rows = rows.and_then(added, _names(settings))
    text, target, *_ = _names(settings)
    texts = checked_texts(rows.columns[text], rows.places, text, str(path))
    labels, kind = row_labels(rows, target, path, settings.target_kind)
    if settings.split_column is not None:
        cells = rows.columns[settings.split_column]
        own = splits_of_column(cells, rows.places, settings.split_column, str(path))
    return Raw(
        str(path),
        texts,
        labels,
        own,
        notes=rows.notes,
        first=first_copies(value.strip() for value in texts.values),
        target_kind=kind,
    )


def _names(settings: TaskSettings) -> tuple[str, ...]:
    """The columns that count: texts and labels, and the splits where a column says them."""
    text, target = settings.text_column or _USUAL_COLUMN, str(settings.target)
    return (
        (text, target) if settings.split_column is None else (text, target, settings.split_column)
    )


def _rows(path: Path, settings: TaskSettings, key: str) -> TextRows:
    rows = read_rows(path, target=str(settings.target), encoding=settings.encoding)
    columns, source = list(rows.columns), str(path)
    if not columns:
        raise DataError(f"{source}: {key} must hold rows, but there is none: add some")
    names = _names(settings)
    for given, name in zip(("text_column", "target", "split_column"), names, strict=False):
        check_column(given, name, columns, source)
    check_text_column(names[0], names[1], source)
    return rows


def _placed(rows: TextRows, path: Path) -> TextRows:
    return replace(rows, places=tuple(f"{path}, {place}" for place in rows.places))


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


def row_labels(
    rows: TextRows, column: str, path: Path, kind: TargetKind | None
) -> tuple[NDArray[Any], TargetKind | None]:
    """The labels in a column, and what they are as far as the rows tell.

    Args:
        rows: Of the file.
        column: With the labels.
        path: Of the file.
        kind: What the study file says that they are.

    Raises:
        DataError: One is missing, or they are not alike.
    """
    found = rows.columns[column]
    _refuse_missing(
        found, rows.places, f"{path}: every row needs a target, but {{}} none in {column!r}"
    )
    if not rows.is_json:
        builder = ColumnBuilder()
        builder.extend(found)
        target = read_target(builder.column(column), str(path), kind=kind, comma_decimals=False)
        return target.labels, target.kind
    kinds = {str: "a name", bool: "true or false", int: "a number", float: "a number"}
    first = kinds.get(type(found[0])) if found else None
    for label, place in zip(found, rows.places, strict=True):
        if kinds.get(type(label)) is None or kinds[type(label)] != first:
            wanted = first or "a name or a number"
            raise DataError(
                f"{path}, {place}: {column!r} must be {wanted}, as in every row, but is "
                f"{json.dumps(label)[:60]}: write all classes alike"
            )
    return np.asarray(found), None


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


def _has_marks(text: str) -> bool:
    return not text.isascii() and any(category(letter) == "Mn" for letter in normalize("NFD", text))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

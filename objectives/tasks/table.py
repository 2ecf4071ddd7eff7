"""Kind ``csv``: a table with a header, one column of which is to be predicted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.columns import check_column
from greenfront.objectives.tasks.copies import first_copies
from greenfront.objectives.tasks.labels import encode_labels
from greenfront.objectives.tasks.paths import existing_file
from greenfront.objectives.tasks.predefined_splits import (
    NO_SPLITS,
    PredefinedSplits,
    splits_of_column,
)
from greenfront.objectives.tasks.raw import Raw
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.tables.cells import Cells, joined
from greenfront.objectives.tasks.tables.files import read_cells
from greenfront.objectives.tasks.tables.infer import Hints, Inferred, infer
from greenfront.objectives.tasks.tables.inputs import TableInputs
from greenfront.objectives.tasks.tables.leaks import leaks_target
from greenfront.objectives.tasks.tables.schema import ColumnReport, Schema
from greenfront.objectives.tasks.tables.target import Target, read_target
from greenfront.objectives.tasks.tables.values import Numbers, Values

__all__ = ["Described", "describe", "read"]

_LEAST_JUDGES = 2
_GIVES_AWAY = (
    "it alone predicts the target; if it is not known before the answer is, leave it out with "
    "drop_columns"
)


def read(settings: TaskSettings) -> Raw:
    """Reads a table: CSV in any usual dialect, packed or not, or Parquet.

    What each column is taken for stands in the result's schema. Identifiers, constants and free
    text are left out; missing values are allowed everywhere but in the target.

    Raises:
        DataError: If the file is missing or cannot be read, lacks a named column, has rows without
            a target, no features, or a column of numbers with a few other texts among them.
    """
    found = _parsed(settings)
    cells, features = found.cells, found.features
    if not features:
        raise _no_features(cells, found.schema, str(settings.target))
    # The order of before: numbers, then names.
    ordered = sorted(features.values(), key=lambda values: not isinstance(values, Numbers))
    inputs = TableInputs(cells.source, tuple(ordered), found.schema.rows)
    return Raw(
        cells.source,
        inputs,
        found.answer.labels,
        found.own,
        notes=cells.notes,
        first=first_copies(inputs.examples()),
        together=False,
        schema=found.schema,
        target_kind=found.answer.kind,
    )


class Described(NamedTuple):
    """A table: what its columns are taken for, and what was made of its file, in words."""

    schema: Schema
    notes: tuple[str, ...]


def describe(settings: TaskSettings) -> Described:
    """What the columns of a table are taken for, also where none is left as a feature.

    Raises:
        DataError: As :func:`read` does for other reasons, or the target cannot be split and learnt.
    """
    found = _parsed(settings)
    encode_labels(found.answer.labels, found.cells.source, found.answer.kind)
    return Described(found.schema, found.cells.notes)


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A table whose columns were looked at.

    Attributes:
        cells: As they stand in the file.
        own: Which rows belong to which split; those of a test file come last.
        answer: The target.
        features: What is learnt from, by column; the rows of a test file come last.
        schema: Of all columns.
    """

    cells: Cells
    own: PredefinedSplits
    answer: Target
    features: dict[str, Values]
    schema: Schema


def _parsed(settings: TaskSettings) -> _Parsed:
    path = existing_file(settings)
    target = str(settings.target)
    cells = read_cells(path, target=target, encoding=settings.encoding)
    _check_names(settings, cells)
    inferred = {
        column.name: infer(column, _hints(settings, cells, column.name))
        for column in cells.columns
        if column.name not in (target, settings.split_column, *settings.drop_columns)
    }
    used = [name for name, found in inferred.items() if found.report.used]
    everything, own = _with_splits(settings, cells, [target, *used])
    answer = read_target(
        everything.column(target),
        cells.source,
        kind=settings.target_kind,
        comma_decimals=cells.comma_decimals,
    )
    if answer.kind == "class":
        _check_judges(answer.labels, own, settings.validation_fraction, cells.source)
    features = {name: inferred[name].values(everything.column(name)) for name in used}
    schema = Schema(len(everything), tuple(_reports(settings, cells, inferred, features, answer)))
    return _Parsed(cells, own, answer, features, schema)


def _check_names(settings: TaskSettings, cells: Cells) -> None:
    named = {
        "target": (str(settings.target),),
        "split_column": () if settings.split_column is None else (settings.split_column,),
        "drop_columns": settings.drop_columns,
        "keep_columns": settings.keep_columns,
        "columns": tuple(settings.columns or ()),
    }
    for key, names in named.items():
        for name in names:
            try:
                check_column(key, name, cells.names, cells.source)
            except DataError as error:
                raise DataError("; ".join([str(error), *cells.notes])) from error
    if not len(cells):
        raise DataError(f"{cells.source}: there are no rows below the header: add some")
    if settings.target in (settings.columns or {}):
        raise DataError(
            f"{cells.source}: columns says what features are, but {settings.target!r} is the "
            "target: say target_kind = 'number' or 'class' instead"
        )


def _with_splits(
    settings: TaskSettings, cells: Cells, needed: Sequence[str]
) -> tuple[Cells, PredefinedSplits]:
    """The needed columns of all rows, those of the test file last, and whose split they are."""
    if settings.test_path is not None:
        path = existing_file(settings, "test_path")
        added = read_cells(path, target=settings.target, encoding=settings.encoding)
        lacking = [name for name in needed if name not in added.names]
        if lacking:
            raise DataError(
                f"{added.source}: the test split needs the columns that are learnt from, but lacks "
                f"{', '.join(map(repr, lacking))}: its columns are {', '.join(added.names)}"
            )
        is_test = np.arange(len(cells) + len(added)) >= len(cells)
        return joined(cells, added, needed), PredefinedSplits(is_test)
    if settings.split_column is None:
        return cells, NO_SPLITS
    words = cells.column(settings.split_column).cells()
    return cells, splits_of_column(words, cells.places(), settings.split_column, cells.source)


def _check_judges(
    labels: NDArray[Any], own: PredefinedSplits, fraction: float, source: str
) -> None:
    """Refuses a table whose validation split would hold each class but once."""
    rows = np.ones(len(labels), dtype=np.bool_) if own.is_test is None else ~own.is_test
    if own.is_validation is not None:
        rows, fraction = own.is_validation, 1.0
    examples = max(np.unique(labels[rows], return_counts=True)[1], default=0)
    judges = round(fraction * examples)
    if judges < _LEAST_JUDGES:
        raise DataError(
            f"{source}: there are too few validation rows per class: the most frequent one has "
            f"{examples} rows and {max(1, judges)} of them to validate, where {_LEAST_JUDGES} are "
            "the least: add rows, or raise validation_fraction"
        )


def _hints(settings: TaskSettings, cells: Cells, name: str) -> Hints:
    return Hints(
        source=cells.source,
        wanted=(settings.columns or {}).get(name),
        kept=name in settings.keep_columns,
        comma_decimals=cells.comma_decimals,
        unnamed=name in cells.unnamed,
    )


def _reports(
    settings: TaskSettings,
    cells: Cells,
    inferred: dict[str, Inferred],
    features: dict[str, Values],
    answer: Target,
) -> Sequence[ColumnReport]:
    reports = []
    for column in cells.columns:
        name = column.name
        if name == settings.target:
            report = answer.report
        elif name == settings.split_column:
            report = ColumnReport(name, "split", "says which split a row is in", used=False)
        elif name in settings.drop_columns:
            report = ColumnReport(name, "dropped", "left out by drop_columns", used=False)
        else:
            report = inferred[name].report
            if name in features and leaks_target(features[name], answer.labels):
                told = f"{report.warning}; {_GIVES_AWAY}" if report.warning else _GIVES_AWAY
                report = dataclasses.replace(report, warning=told, gives_away=True)
        reports.append(report)
    return reports


def _no_features(cells: Cells, schema: Schema, target: str) -> DataError:
    left_out = f" (left out: {'; '.join(schema.warnings)})" if schema.warnings else ""
    return DataError(
        f"{cells.source}: there must be at least one feature besides the target {target!r}, but "
        f"the columns are {', '.join(cells.names)}{left_out}: add columns, drop fewer in "
        "drop_columns, or name some in keep_columns"
    )

"""The column that is to be predicted: classes or a number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.labels import FEW_EXAMPLES, target_kind
from greenfront.objectives.tasks.settings import TargetKind
from greenfront.objectives.tasks.tables.cells import Column
from greenfront.objectives.tasks.tables.numbers import MARKERS, number_style, parse_numbers
from greenfront.objectives.tasks.tables.schema import ColumnReport

__all__ = ["Target", "read_target"]

_MANY_WHOLE = 20
_SHOWN = 5
_FEW = 0.01
_DECISIVE = 0.5
"""Of the variance: a normal target's farthest hundredth makes a twelfth of it."""
_LEAST_ROWS = 50
_SEVERAL = "its cells seem to list several classes: each list is taken for a class of its own"
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be predicted.

    Attributes:
        labels: One a row: strings or int64 of classes, float64 of a number.
        kind: Which of them.
        report: What it was taken for, for people.
    """

    labels: NDArray[Any]
    kind: TargetKind
    report: ColumnReport


def read_target(
    column: Column, source: str, *, kind: TargetKind | None, comma_decimals: bool
) -> Target:
    """Reads the target: every word may name a class, ``NA`` and ``none``, too.

    Numbers with decimals, of which there are more than two, are a quantity; so are whole ones of
    which there are many, each in few rows.

    Args:
        column: The target's.
        source: Name of the table, for messages.
        kind: What the study file says that it is.
        comma_decimals: See :class:`Cells`.

    Raises:
        DataError: Rows have no target, or no number where one is wanted.
    """
    style = number_style(column.texts, comma_decimals=comma_decimals)
    numbers = parse_numbers(column.texts, style)
    is_number = np.isfinite(numbers)
    markers = np.array([text.lower() in MARKERS for text in column.texts], dtype=bool)
    # Among numbers these words are no classes.
    numeric = bool(is_number.any()) and bool((is_number | markers).all()) and kind != "class"
    empty = np.append(markers & numeric, True)[column.codes]
    if empty.any():
        raise DataError(
            f"{source}: every row needs a target, but {int(empty.sum())} of {len(column)} rows "
            f"(the first is row {int(empty.argmax()) + 1}, counted without a header) have none in "
            f"{column.name!r}: fill them in, or remove these rows"
        )
    if kind == "number" and not numeric:
        strange = next(t for t, number in zip(column.texts, is_number, strict=True) if not number)
        raise DataError(
            f"{source}: target_kind = 'number' needs a number in every row of {column.name!r}, "
            f"but there is {strange!r}: correct it, or leave target_kind out"
        )
    if kind is None:
        kind = "number" if numeric and _is_quantity(column, numbers) else "class"
    if kind == "number":
        values = numbers[column.codes]
        return Target(values, kind, _quantity(column, values, style))
    labels = string_labels(column)
    count = len(column.texts)
    told = f"{count:,} classes" + _shares(column)
    if numeric and count > 2:
        told += "; target_kind = 'number' makes its numbers a quantity (regression)"
    warning = _SEVERAL if _are_several(column) else None
    report = ColumnReport(column.name, "target", told, warning=warning, used=False)
    return Target(labels, kind, report)


def string_labels(column: Column) -> NDArray[Any]:
    """Labels as they are written; as integers where each of them reads the same after that.

    So ``01`` and ``1`` are two classes, and 10 comes after 9. Whole numbers that all are written
    with a point, as in ``3.0``, count as integers: that is how missing values once left them.
    """
    texts = np.array(column.texts, dtype=str)
    if all(_INTEGER.fullmatch(text) and text != "-0" for text in column.texts):
        texts = texts.astype(np.int64)
    elif all(text.endswith(".0") and _INTEGER.fullmatch(text[:-2]) for text in column.texts):
        texts = texts.astype(np.float64).astype(np.int64)
    return texts[column.codes] if len(column.texts) else texts


def _shares(column: Column) -> str:
    """Each class and its share of the rows, where they are few."""
    if len(column.texts) > _SHOWN:
        return ""
    shares = column.counts() / len(column)
    told = (f"{text} {share:.0%}" for text, share in zip(column.texts, shares, strict=True))
    return f": {', '.join(told)}"


def _are_several(column: Column) -> bool:
    """Whether cells list classes: fewer of these than there are lists."""
    listed = [re.split(r"\s*[;|,]\s*", text) for text in column.texts]
    classes = {name for names in listed for name in names}
    return any(len(names) > 1 for names in listed) and len(classes) < len(listed)


def _is_quantity(column: Column, numbers: NDArray[np.float64]) -> bool:
    distinct = len(np.unique(numbers))
    if not all(_INTEGER.fullmatch(text) for text in column.texts):
        return distinct > 2 and any(mark in text for text in column.texts for mark in ".,eE")
    if distinct > _MANY_WHOLE and len(column) < FEW_EXAMPLES * distinct:
        return True
    return target_kind(numbers[column.codes]) == "number"


def _quantity(column: Column, values: NDArray[np.float64], style: str) -> ColumnReport:
    comma = " (decimal comma)" if style == "comma" else ""
    return ColumnReport(
        column.name,
        "target",
        f"a number{comma} from {values.min():g} to {values.max():g} (regression); "
        "target_kind = 'class' makes classes of it",
        warning=_far_off(values),
        used=False,
    )


def _far_off(values: NDArray[np.float64]) -> str | None:
    """That a few rows decide whatever squares errors; ``None`` where they do not."""
    squares = np.sort(np.square(values - values.mean()))
    few = max(1, round(_FEW * len(values)))
    share = squares[-few:].sum() / squares.sum() if squares[-1] > 0 else 0.0
    if len(values) < _LEAST_ROWS or share < _DECISIVE:
        return None
    told = "the row farthest from its mean makes"
    if few > 1:
        told = f"the {few:,} rows farthest from its mean make"
    return (
        f"{told} {share:.0%} of its variance, and what squares errors "
        "(r2, rmse, the loss mse) heeds little else: correct them if they are wrong; "
        "[objectives] metric = 'mae' and [training] loss = ['huber'] heed them less"
    )

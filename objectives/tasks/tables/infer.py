"""Inferring what the columns of a table hold, and saying why."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.settings import ColumnType
from greenfront.objectives.tasks.tables.cells import MISSING, Column
from greenfront.objectives.tasks.tables.dates import PARTS, date_format, parse_dates
from greenfront.objectives.tasks.tables.numbers import (
    MARKERS,
    NumberStyle,
    number_style,
    parse_numbers,
)
from greenfront.objectives.tasks.tables.preprocessing import MOST_LEVELS
from greenfront.objectives.tasks.tables.schema import ColumnReport
from greenfront.objectives.tasks.tables.values import Reading, Values, as_levels, as_numbers

__all__ = ["Hints", "Inferred", "infer"]

_MOSTLY = 0.9
"""Share of numbers, or of dates, from which a column was meant to hold nothing else."""
_A_HANDFUL = 5
_SHOWN = 3
_LARGEST_EXACT = 2**53
_LEAST_ROWS_OF_IDS = 10
_MANY_TEXTS = 100
_WORDS = 2.5
_TRUTHS = {"true", "false"}
_NAMED_AS_ID = re.compile(
    r"(^|[\s_.-])(id|ids|uuid|guid|key|index|idx|nr|no|row|rowid|rownum|rownames)$|[a-z]I[dD]$",
    re.IGNORECASE,
)
_SAVED_INDEX = re.compile(r"(Unnamed: \d+|index|level_\d+|__index_level_\d+__|\.\.\.1|X\.1)?")


@dataclass(frozen=True, slots=True)
class Inferred:
    """What was inferred of a column.

    Attributes:
        report: What it was taken for.
        reading: How its texts become numbers; ``None`` where they are names, or left out.
    """

    report: ColumnReport
    reading: Reading | None = None

    def values(self, column: Column) -> Values:
        """What a column holds that is like the one that was looked at."""
        return as_levels(column) if self.reading is None else as_numbers(column, self.reading)


@dataclass(frozen=True, slots=True)
class Hints:
    """What an inference may depend on besides the column.

    Attributes:
        source: Name of the table, for messages.
        wanted: What the study file says that it is.
        kept: Whether the study file says that it is not to be left out.
        comma_decimals: See :class:`Cells`.
        unnamed: Whether the file has no name for it.
    """

    source: str
    wanted: ColumnType | None = None
    kept: bool = False
    comma_decimals: bool = False
    unnamed: bool = False


def infer(column: Column, hints: Hints) -> Inferred:
    """Decides what a column is: what the study file says, else what its cells look like.

    Raises:
        DataError: Its cells are numbers or dates with a few others among them, or are not what
            the study file says.
    """
    if not column.texts:
        why = "it has no values at all"
        return _left_out(column, "empty", why)
    if len(column.texts) == 1 and not column.missing and not hints.kept and not hints.wanted:
        return _left_out(column, "constant", f"it is {column.texts[0]!r} in every row")
    if hints.wanted != "category":
        found = _numbers(column, hints) or _dates(column, hints) or _truths(column, hints)
        if found is not None:
            return found
    return _texts(column, hints)


def _are_codes(texts: tuple[str, ...]) -> bool:
    """Whether texts are digits that name things: leading zeros, or too long to compute with."""
    if not all(re.fullmatch(r"[+-]?\d+", text, re.ASCII) for text in texts):
        return False
    if any(abs(int(text)) >= _LARGEST_EXACT for text in texts if len(text) < 4000):
        return True
    padded = any(len(text) > 1 and text[0] == "0" for text in texts)
    return padded and len({len(text) for text in texts}) == 1


def _only(column: Column, known: NDArray[np.bool_]) -> Column:
    """The column with the texts that are not known as empty cells."""
    places = np.append(np.where(known, np.cumsum(known) - 1, MISSING), MISSING)
    texts = tuple(text for text, keep in zip(column.texts, known, strict=True) if keep)
    return Column(column.name, texts, places[column.codes], column.padded)


def _numbers(column: Column, hints: Hints) -> Inferred | None:
    told = hints.wanted == "number"
    if hints.wanted == "date":
        return None
    values = tuple(text for text in column.texts if text.lower() not in MARKERS)
    if not told and (not values or _are_codes(values)):
        return None
    style = number_style(column.texts, comma_decimals=hints.comma_decimals)
    known = np.isfinite(parse_numbers(column.texts, style))
    held = _held(column, known, hints, "numbers")
    if held is None:
        return None
    reason = None if hints.kept or told else _identifier(held, hints, style)
    if reason is not None:
        return _left_out(held, "identifier", reason)
    how = "standardised"
    if any("," in text for text in held.texts):
        how += ", decimal comma" if style == "comma" else ", commas between thousands"
    return _used(held, Reading("number", style), "number", how, "the median")


def _dates(column: Column, hints: Hints) -> Inferred | None:
    if hints.wanted == "number":
        return None
    texts = tuple(text for text in column.texts if text.lower() not in MARKERS)
    form = date_format(texts) if texts else None
    if form is None:
        if hints.wanted == "date":
            raise _not_as_told(column, hints, "a date in a usual form, such as 2026-01-31")
        return None
    parsed = parse_dates(column.texts, form)
    held = _held(column, np.isfinite(parsed[:, 0]), hints, "dates")
    if held is None:
        return None
    parsed = parsed[np.isfinite(parsed[:, 0])]
    parts = tuple(part for part, of in zip(PARTS, parsed.T, strict=True) if np.ptp(of) > 0)
    reading = Reading("date", form=form, parts=parts or PARTS[:1])
    how = f"{', '.join(reading.parts)} as numbers, read as {form}"
    return _used(held, reading, "date", how, "medians", _either_way(form, parsed))


def _either_way(form: str, parsed: NDArray[np.float64]) -> str | None:
    """Day and month can be told from each other only where a day is above 12."""
    ambiguous = form.startswith(("%m/%d", "%d/%m", "%m-%d", "%d-%m")) and parsed[:, 2].max() <= 12
    return "day and month could be the other way round: no day is above 12" if ambiguous else None


def _truths(column: Column, hints: Hints) -> Inferred | None:
    lower = np.array([text.lower() in _TRUTHS for text in column.texts])
    markers = np.array([text.lower() in MARKERS for text in column.texts])
    if hints.wanted is not None or not lower.any() or not (lower | markers).all():
        return None
    held = _only(column, lower)
    how = "1 for true and 0 for false, standardised"
    return _used(held, Reading("boolean"), "boolean", how, "the median")


def _texts(column: Column, hints: Hints) -> Inferred:
    texts, rows = len(column.texts), len(column) - column.missing
    keep = hints.kept or hints.wanted is not None
    many = texts > _MOSTLY * rows or (texts > rows / 2 and texts > _MANY_TEXTS)
    if many and texts > 2 and not keep:
        words = sum(len(text.split()) for text in column.texts) / texts
        if words >= _WORDS:
            return _left_out(
                column,
                "text",
                f'it looks like free text, which kind = "text" with text_column = {column.name!r} '
                "learns from",
            )
        reason = f"{texts:,} distinct texts in {rows:,} rows, as names or identifiers have"
        return _left_out(column, "identifier", reason)
    how = f"one-hot, {min(texts, MOST_LEVELS):,} inputs"
    if markers := [repr(text) for text in column.texts if text.lower() in MARKERS]:
        how += f"; categories like others, not missing: {', '.join(markers)}"
    warning = None
    if texts > MOST_LEVELS:
        warning = f"only the {MOST_LEVELS:,} most frequent of its {texts:,} texts have an input"
    return _used(column, None, "category", how, "the most frequent", warning)


def _held(column: Column, known: NDArray[np.bool_], hints: Hints, what: str) -> Column | None:
    """The column without what stands for missing values; ``None`` where it is something else.

    Raises:
        DataError: Nearly all of its cells are numbers or dates, but some are texts.
    """
    counts = column.counts()
    markers = np.array([text.lower() in MARKERS for text in column.texts]) & ~known
    fitting, strays = int(counts[known].sum()), int(counts[~known & ~markers].sum())
    if hints.wanted is not None:
        if not fitting:
            raise _not_as_told(column, hints, f"a {what[:-1]}")
        return _only(column, known)
    if strays == 0:
        return _only(column, known) if fitting else None
    if fitting <= _A_HANDFUL or fitting < _MOSTLY * (fitting + strays):
        return None
    others = np.flatnonzero((~known & ~markers)[column.codes] & (column.codes != MISSING))
    shown = ", ".join(
        f"{column.texts[column.codes[row]]!r} in row {row + 1}" for row in others[:_SHOWN]
    )
    wanted = what[:-1]
    raise DataError(
        f"{hints.source}: a column must hold {what} or texts, but {fitting} of the {len(column)} "
        f"cells of {column.name!r} are {what} and {strays} are not ({shown}"
        f"{', …' if strays > _SHOWN else ''}; the first row below the header is row 1): correct "
        f"these cells, or say in [task] columns = {{ {column.name!r} = {wanted!r} }} that they are "
        "missing values; 'category' takes all for names (greenfront init writes it by --column "
        f"{shlex.quote(f'{column.name}={wanted}')})"
    )


def _identifier(column: Column, hints: Hints, style: NumberStyle) -> str | None:
    """Why a column of numbers looks like one that only numbers the rows; ``None`` if it doesn't."""
    rows = len(column)
    if column.missing or len(column.texts) < rows or rows < _LEAST_ROWS_OF_IDS:
        return None
    values = parse_numbers(column.texts, style)
    if np.any(values != np.floor(values)) or any("." in text for text in column.texts):
        return None
    if hints.unnamed or _SAVED_INDEX.fullmatch(column.name):
        return "it numbers the rows: a saved index"
    if np.ptp(values) == rows - 1:
        return f"it numbers the rows, from {values.min():.0f} to {values.max():.0f}"
    if _NAMED_AS_ID.search(column.name):
        return "it is called like an identifier and is different in every row"
    return None


def _left_out(
    column: Column, kind: Literal["empty", "constant", "identifier", "text"], reason: str
) -> Inferred:
    remedy = "" if kind == "empty" else "; keep_columns overrules"
    warning = f"{reason}{remedy}"
    report = ColumnReport(column.name, kind, "left out", column.missing, warning, used=False)
    return Inferred(report)


def _used(
    column: Column,
    reading: Reading | None,
    kind: Literal["number", "boolean", "category", "date"],
    how: str,
    fill: str,
    warning: str | None = None,
) -> Inferred:
    if column.missing:
        how += f"; missing: {fill}, and an input that says so"
    if column.missing > len(column) / 2:
        warning = warning or "more than half of its cells are missing"
    return Inferred(ColumnReport(column.name, kind, how, column.missing, warning), reading)


def _not_as_told(column: Column, hints: Hints, wanted: str) -> DataError:
    return DataError(
        f"{hints.source}: [task] columns says that {column.name!r} is a {hints.wanted}, but no "
        f"cell of it is {wanted} (the first is {column.texts[0]!r}): correct the study file"
    )

"""Checks of tables with named columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from greenfront.errors import DataError
from greenfront.objectives.tasks.settings import suggest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_column", "check_text_column", "check_widths", "separator"]


def separator(header: str) -> str:
    """The one of comma, semicolon and tab that is most frequent in a table's first line."""
    return max(",;\t", key=header.count)


def check_column(key: str, name: str, columns: Sequence[str], source: str) -> None:
    """Raises ``DataError`` where the setting ``key`` names no column."""
    if name not in columns:
        raise DataError(
            f"{source}: {key} must name a column, but there is no column {name!r}. "
            f"{suggest(name, columns)}"
        )


def check_text_column(text: str, target: str, source: str) -> None:
    """Raises ``DataError`` where texts and classes are the same column."""
    if text == target:
        raise DataError(
            f"{source}: text_column and target must be two columns, but both are {text!r}: name "
            "the column with the class in target"
        )


def check_widths(frame: pd.DataFrame, source: str, remedy: str) -> None:
    """Raises ``DataError`` where rows have more values than the header has names."""
    import pandas as pd

    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(
            f"{source}: every row must have as many values as the header has names, but rows have "
            f"more than its {len(frame.columns)}: {remedy}"
        )

"""Checks of tables with named columns."""

from __future__ import annotations

from collections.abc import Sequence

from greenfront.errors import DataError
from greenfront.objectives.tasks.settings import suggest

__all__ = ["check_column", "check_text_column"]


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

"""What the columns of a table were taken for, and what is done with each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ColumnKind", "ColumnReport", "Schema"]

ColumnKind = Literal[
    "target",
    "split",
    "number",
    "boolean",
    "category",
    "date",
    "identifier",
    "text",
    "constant",
    "empty",
    "dropped",
]


_NAMED = 4


@dataclass(frozen=True, slots=True)
class ColumnReport:
    """One column of the file.

    Attributes:
        name: As the header has it.
        kind: What it was taken for.
        treatment: What is done with it, in words.
        missing: Cells without a value.
        warning: What may be wrong with it, or why it is left out; ``None`` if nothing is.
        used: Whether it is a feature.
        gives_away: Whether it alone predicts the target.
    """

    name: str
    kind: ColumnKind
    treatment: str
    missing: int = 0
    warning: str | None = None
    used: bool = True
    gives_away: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """All columns of a table.

    Attributes:
        rows: In the file or files.
        columns: In the file's order.
    """

    rows: int
    columns: tuple[ColumnReport, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every column's warning, with its name."""
        return tuple(
            f"{column.name!r}: {column.warning}" for column in self.columns if column.warning
        )

    @property
    def leaks(self) -> tuple[str, ...]:
        """Names of the features that alone predict the target."""
        return tuple(column.name for column in self.columns if column.gives_away)

    def grouped(self) -> tuple[tuple[str, ColumnReport], ...]:
        """The columns; those that are taken for the same stand together if no more is to be said.

        Returns:
            Names, and what each of the columns so named is.
        """
        groups: dict[tuple[object, ...], list[ColumnReport]] = {}
        for place, column in enumerate(self.columns):
            alone = column.warning or column.missing or not column.used
            key = (place,) if alone else (column.kind, column.treatment)
            groups.setdefault(key, []).append(column)
        return tuple((_names([each.name for each in group]), group[0]) for group in groups.values())


def _names(names: list[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMED - 1])}, … {names[-1]} ({len(names)} columns)"

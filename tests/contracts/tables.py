"""Tables written down in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from greenfront.objectives.tasks.tables.cells import Cells, ColumnBuilder

__all__ = ["table_of"]


def table_of(columns: Mapping[str, Sequence[str | None]]) -> Cells:
    """A table of some cells by the name of their column."""
    built = []
    for name, cells in columns.items():
        builder = ColumnBuilder()
        builder.extend(cell or "" for cell in cells)
        built.append(builder.column(name))
    return Cells("rows", tuple(built))

"""Reading a table's file, whatever its format."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from greenfront.errors import DataError
from greenfront.objectives.tasks.tables.cells import Cells, ColumnBuilder
from greenfront.objectives.tasks.tables.decode import Decoded, decoded
from greenfront.objectives.tasks.tables.delimited import read_delimited

if TYPE_CHECKING:
    import pyarrow

__all__ = ["delimited", "is_parquet", "read_cells", "read_parquet"]

_PARQUET = b"PAR1"


def read_cells(path: Path, *, target: str | None = None, encoding: str | None = None) -> Cells:
    """Reads a delimited text file, packed or not, or a Parquet file, as text.

    Args:
        path: The file; what it begins with decides, not what it is called.
        target: A column that the header should name.
        encoding: Of text; absent: found out.

    Raises:
        DataError: It cannot be read, or Parquet is, without pyarrow.
    """
    return (
        read_parquet(path) if is_parquet(path) else delimited(decoded(path, encoding), path, target)
    )


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(_PARQUET)) == _PARQUET
    except OSError as error:
        raise DataError(f"{path}: this file cannot be read: {error.strerror}") from error


def delimited(found: Decoded, path: Path, target: str | None) -> Cells:
    """The cells of a delimited text; see :func:`read_delimited`."""
    cells = read_delimited(found.text, str(path), target=target)
    return dataclasses.replace(cells, notes=(*found.notes, *cells.notes))


def read_parquet(path: Path) -> Cells:
    """The cells of a Parquet file.

    Raises:
        DataError: It cannot be read, or pyarrow is missing.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"{path}: a Parquet file needs the package pyarrow, which is not installed: "
            "pip install 'greenfront[parquet]', or write the table as CSV"
        ) from error
    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{path}: this Parquet file cannot be read ({error}): write it again"
        ) from error
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise DataError(
            f"{path}: every column needs a name of its own, but {', '.join(map(repr, twice))} "
            "stand there more than once: rename or remove one of them"
        )
    columns = []
    for name in table.column_names:
        builder = ColumnBuilder()
        for chunk in table.column(name).chunks:
            builder.extend(_texts(chunk, f"{path}: column {name!r}"))
        columns.append(builder.column(name))
    return Cells(str(path), tuple(columns))


def _texts(values: pyarrow.Array, what: str) -> list[str]:
    """Each value as one would write it; an empty text for a missing one."""
    import pyarrow

    kind = values.type.value_type if pyarrow.types.is_dictionary(values.type) else values.type
    if pyarrow.types.is_nested(kind) or pyarrow.types.is_binary(kind):
        raise DataError(
            f"{what} must hold one value a cell, but is of type {kind}: remove it from the file"
        )
    return ["" if value is None or value != value else str(value) for value in values.to_pylist()]

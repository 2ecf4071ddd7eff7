"""Images whose labels stand in a table beside them: classes, or numbers, which no folder can be."""

from __future__ import annotations

from pathlib import Path

from greenfront.errors import DataError
from greenfront.objectives.tasks.columns import check_column
from greenfront.objectives.tasks.image_folder import ImageFolder
from greenfront.objectives.tasks.predefined_splits import NO_SPLITS
from greenfront.objectives.tasks.settings import TargetKind, TaskSettings
from greenfront.objectives.tasks.text import row_labels
from greenfront.objectives.tasks.text_rows import read_rows

__all__ = ["listed_images"]

LABELS = "labels.csv"
"""In the folder of the images."""

_FILE = "file"
"""The column with their paths below the folder."""


def listed_images(folder: Path, settings: TaskSettings) -> tuple[ImageFolder, TargetKind | None]:
    """The images that a table names, in its order, and what its target is.

    Args:
        folder: Holds ``labels.csv`` with a column ``file`` and the target's.
        settings: With a target.

    Raises:
        DataError: The table or an image is missing, cannot be read, or lacks a column or a cell.
    """
    path, target = folder / LABELS, str(settings.target)
    if not path.is_file():
        raise DataError(
            f"{path}: target = {target!r} needs this table, with a column {_FILE!r} that names an "
            f"image a row and a column {target!r}, but there is none: write it, or leave target "
            "out and put the images of each class into a folder of their own"
        )
    rows = read_rows(path, target=target, encoding=None)
    for key, name in (("the table", _FILE), ("target", target)):
        check_column(key, name, list(rows.columns), str(path))
    files = []
    for name, place in zip(rows.columns[_FILE], rows.places, strict=True):
        file = folder / str(name or "")
        if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
            raise DataError(
                f"{path}, {place}: {_FILE!r} must name a file below {folder}, but is {name!r}: "
                "correct it, or remove the row"
            )
        files.append(file)
    labels, kind = row_labels(rows, target, path, settings.target_kind)
    return ImageFolder(tuple(files), labels, NO_SPLITS, rows.notes), kind

"""Paths to the user's data."""

from __future__ import annotations

from pathlib import Path

from greenfront.errors import DataError
from greenfront.objectives.tasks.settings import TaskSettings

__all__ = ["existing_file", "existing_folder"]


def existing_file(settings: TaskSettings, key: str = "path") -> Path:
    """The task's file, or the one that another key names.

    Raises:
        DataError: If it does not exist, or is not a file.
    """
    path = _existing(getattr(settings, key), "file", key)
    if not path.is_file():
        what, remedy = "a folder", "name a file in it"
        if not path.is_dir():
            what, remedy = "a pipe, a socket or a device", "name a file"
        raise DataError(
            f"{path}: task kind {settings.kind!r} needs a file, but this is {what}: {remedy}"
        )
    return path


def existing_folder(settings: TaskSettings, holding: str = "one sub-folder a class") -> Path:
    """The task's folder; ``holding`` is what messages say must be in it.

    Raises:
        DataError: If it does not exist, or is not a folder.
    """
    path = _existing(settings.path, "folder", "path")
    if not path.is_dir():
        raise DataError(
            f"{path}: task kind {settings.kind!r} needs a folder, but this is a file: "
            f"name the folder that holds {holding}"
        )
    return path


def _existing(given: str | None, what: str, key: str) -> Path:
    path = Path(given or "")
    if not path.exists():
        raise DataError(f"{path}: this {what} must exist, but does not: correct the task's {key}")
    return path

"""Kind ``images``: a folder with one sub-folder a class."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from greenfront.errors import DataError
from greenfront.objectives.tasks.cache import cache_key, cached_arrays, file_stamps
from greenfront.objectives.tasks.paths import existing_folder
from greenfront.objectives.tasks.pictures import DECODING, decode_all, opened_image
from greenfront.objectives.tasks.raw import Raw, array_inputs
from greenfront.objectives.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["read"]

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def read(settings: TaskSettings, cache: Path) -> Raw:
    """Reads the images below each class's sub-folder; other files are passed over.

    Args:
        settings: With a path.
        cache: Folder that keeps the decoded images until a file changes.

    Raises:
        DataError: If the folder or its images are missing, if it holds splits instead of classes,
            if an image cannot be read, if Pillow is missing, or the cache cannot be written.
    """
    folder = existing_folder(settings)
    files = _list(folder)

    def image(index: int) -> AbstractContextManager[Image.Image]:
        return opened_image(files[index], str(files[index]), settings)

    sources = [
        *(DECODING, str(folder.resolve()), settings.image_size, settings.channels),
        file_stamps(folder, files),
    ]
    arrays = cached_arrays(
        cache / f"images-{cache_key(sources)}",
        ("pixels",),
        lambda: [("pixels", decode_all(len(files), image, settings))],
    )
    labels = np.array([file.relative_to(folder).parts[0] for file in files], dtype=str)
    return Raw(str(folder), array_inputs(arrays["pixels"], str(folder)), labels)


def _list(folder: Path) -> list[Path]:
    classes = sorted(
        item for item in folder.iterdir() if item.is_dir() and not item.name.startswith(".")
    )
    if not classes:
        raise DataError(
            f"{folder}: there must be one sub-folder a class, but there is none: "
            "make one for each class and move its images there"
        )
    names = [item.name for item in classes]
    if {name.lower() for name in names} <= _SPLIT_NAMES:
        raise DataError(
            f"{folder}: sub-folders must be classes, but are splits ({', '.join(names)}): give the "
            "folder with the classes, for example the first of these; greenfront splits it itself"
        )
    files: list[Path] = []
    for item in classes:
        found = sorted(
            file
            for file in item.rglob("*")
            if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")
        )
        if not found:
            raise DataError(
                f"{item}: the folder of a class must hold images ({', '.join(_SUFFIXES)}), but "
                "holds none: add some, or remove the folder"
            )
        files += found
    return files

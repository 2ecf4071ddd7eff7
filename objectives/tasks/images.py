"""Kind ``images``: a folder with one sub-folder a class, or one a split with the classes in it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from greenfront.objectives.tasks.cache import cache_key, cached_arrays, file_stamps
from greenfront.objectives.tasks.copies import first_copies
from greenfront.objectives.tasks.image_decoding import (
    DECODED,
    decoded,
    decoder_settings,
    open_image,
    pixel_inputs,
)
from greenfront.objectives.tasks.image_folder import list_images
from greenfront.objectives.tasks.image_table import listed_images
from greenfront.objectives.tasks.paths import existing_folder
from greenfront.objectives.tasks.raw import Raw
from greenfront.objectives.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["read"]


def read(settings: TaskSettings, cache: Path) -> Raw:
    """Reads the images that :func:`list_images` finds, or with a target those that a table names.

    Args:
        settings: With a path.
        cache: Folder that keeps the decoded images until a file changes.

    Raises:
        DataError: If the folder or its images are missing, if an image cannot be read, if Pillow
            is missing, or the cache cannot be written.
    """
    folder = existing_folder(settings)
    found, kind = (
        (list_images(folder), None) if settings.target is None else listed_images(folder, settings)
    )
    files = found.files

    def image(index: int) -> AbstractContextManager[Image.Image]:
        return open_image(files[index], str(files[index]), settings)

    sources = [*decoder_settings(settings), str(folder.resolve()), file_stamps(folder, files)]
    kept = cached_arrays(
        cache / f"images-{cache_key(sources)}",
        DECODED,
        lambda: decoded(len(files), image, settings),
    )
    return Raw(
        str(folder),
        pixel_inputs(kept, str(folder)),
        found.labels,
        found.own,
        (*found.notes, *kept["notes"].tolist()),
        first_copies(blake2b(image, digest_size=16).digest() for image in kept["pixels"]),
        target_kind=kind,
    )

"""Kind ``images``: a folder with one sub-folder a class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.cache import cached_arrays
from greenfront.objectives.tasks.paths import existing_folder
from greenfront.objectives.tasks.raw import Raw, tensor
from greenfront.objectives.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["read"]

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
_DEFAULT_EDGE = 32


def read(settings: TaskSettings, cache: Path) -> Raw:
    """Reads the images below each class's sub-folder; other files are passed over.

    Args:
        settings: Of kind ``images``, with a path.
        cache: Folder that keeps the decoded images until a file changes.

    Returns:
        Inputs ``[n, channels, height, width]`` in 0 … 255, and the sub-folders' names as labels.

    Raises:
        DataError: If the folder or its images are missing, if it holds splits instead of classes,
            if an image cannot be read, if Pillow is missing, or the cache cannot be written.
    """
    folder = existing_folder(settings)
    files = _list(folder)
    arrays = cached_arrays(
        cache / f"images-{_key(folder, files, settings)}.npz",
        lambda: {"pixels": _decode_all(files, settings)},
    )
    labels = np.array([file.relative_to(folder).parts[0] for file in files], dtype=str)
    return Raw(str(folder), tensor(arrays["pixels"], str(folder)), labels)


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


def _key(folder: Path, files: Sequence[Path], settings: TaskSettings) -> str:
    stats = [(file, file.stat()) for file in files]
    told = [
        str(folder.resolve()),
        settings.image_size,
        settings.channels,
        [(str(file.relative_to(folder)), stat.st_size, stat.st_mtime_ns) for file, stat in stats],
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def _decode_all(files: Sequence[Path], settings: TaskSettings) -> NDArray[np.uint8]:
    headers = [_header(file) for file in files]
    sizes = {size for size, _ in headers}
    edge = settings.image_size
    if edge is None and len(sizes) == 1:
        (size,) = sizes
    else:
        size = (edge or _DEFAULT_EDGE, edge or _DEFAULT_EDGE)
    channels = settings.channels or (1 if all(is_grey for _, is_grey in headers) else 3)
    pixels = np.empty((len(files), channels, size[1], size[0]), dtype=np.uint8)
    for index, file in enumerate(files):
        pixels[index] = _decode(file, size, channels)
    return pixels


def _header(file: Path) -> tuple[tuple[int, int], bool]:
    """Gives an image's (width, height) as it is to be seen, and whether it is grey."""
    with _opened(file) as image:
        turned = image.getexif().get(0x0112, 1) >= 5  # orientations that swap the edges
        width, height = image.size
        is_grey = image.mode in _GREY_MODES or image.mode.startswith("I;16")
        return ((height, width) if turned else (width, height)), is_grey


def _decode(file: Path, size: tuple[int, int], channels: int) -> NDArray[Any]:
    """Gives one image as uint8 ``[channels, height, width]``."""
    from PIL import Image, ImageOps

    with _opened(file) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode == "P":
            upright = upright.convert("RGBA")  # a palette's transparency survives no other way
        if upright.mode.startswith("I"):
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        plain = upright.convert("L" if channels == 1 else "RGB")
        if plain.size != size:
            plain = plain.resize(size, Image.Resampling.BILINEAR)
        pixels = np.asarray(plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            "task kind 'images' needs the package Pillow, which is not installed: "
            'pip install "greenfront[images]"'
        ) from error
    try:
        with Image.open(file) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{file}: every image must be readable, but this one is not ({error}): "
            "replace or remove it"
        ) from error

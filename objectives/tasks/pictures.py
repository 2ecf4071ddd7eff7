"""From images in files to one array of pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["decode_all", "opened_image"]

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
_DEFAULT_EDGE = 32


def decode_all(
    count: int, image: Callable[[int], AbstractContextManager[Image.Image]], settings: TaskSettings
) -> NDArray[np.uint8]:
    """Decodes images to one size and one number of channels.

    Where the settings leave them open, it is the size that all images have, else 32 × 32, and
    one channel where all images are grey, else three.

    Args:
        count: Number of images, at least 1.
        image: Opens an image.
        settings: ``image_size`` and ``channels``.

    Returns:
        ``[count, channels, height, width]`` in 0 … 255.

    Raises:
        DataError: An image cannot be read.
    """
    edge, channels = settings.image_size, settings.channels
    size = None if edge is None else (edge, edge)
    while True:
        # What the first image suggests holds until another one contradicts it, early as a rule.
        pixels = _decode_alike(count, image, size, channels)
        if not isinstance(pixels, _Contradiction):
            return pixels
        size = pixels.size or size
        channels = pixels.channels or channels


@dataclass(frozen=True, slots=True)
class _Contradiction:
    """What is to be assumed instead of what the first image suggested."""

    size: tuple[int, int] | None
    channels: int | None


def _decode_alike(
    count: int,
    image: Callable[[int], AbstractContextManager[Image.Image]],
    size: tuple[int, int] | None,
    channels: int | None,
) -> NDArray[np.uint8] | _Contradiction:
    pixels: NDArray[np.uint8] | None = None
    for index in range(count):
        with image(index) as found:
            upright = _upright(found)
            is_grey = found.mode in _GREY_MODES or found.mode.startswith("I;16")
            if pixels is None:
                width, height = size or upright.size
                depth = channels or (1 if is_grey else 3)
                pixels = np.empty((count, depth, height, width), dtype=np.uint8)
            other_size = size is None and upright.size != (width, height)
            other_depth = channels is None and depth == 1 and not is_grey
            if other_size or other_depth:
                return _Contradiction(
                    (_DEFAULT_EDGE, _DEFAULT_EDGE) if other_size else None,
                    3 if other_depth else None,
                )
            pixels[index] = _values(upright, (width, height), depth)
    if pixels is None:
        raise ValueError("there are no images")
    return pixels


def _upright(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _values(image: Image.Image, size: tuple[int, int], channels: int) -> NDArray[Any]:
    """Gives one image as uint8 ``[channels, height, width]``."""
    from PIL import Image

    if image.mode == "P":
        image = image.convert("RGBA")  # a palette's transparency survives no other way
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    plain = image.convert("L" if channels == 1 else "RGB")
    if plain.size != size:
        plain = plain.resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


@contextmanager
def opened_image(
    file: Path | IO[bytes], name: str, settings: TaskSettings
) -> Iterator[Image.Image]:
    """Opens an image; its faults, also those met while it is decoded, become the user's.

    Args:
        file: Its file or content.
        name: What messages call it.
        settings: Whose kind messages name.

    Raises:
        DataError: It cannot be read, or Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            f"task kind {settings.kind!r} needs the package Pillow, which is not installed: "
            'pip install "greenfront[images]"'
        ) from error
    try:
        with Image.open(file) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{name}: every image must be readable, but this one is not ({error}): "
            "replace or remove it"
        ) from error

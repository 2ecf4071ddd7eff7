"""Decoding images to one array of pixels."""

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

__all__ = ["DECODING", "decode_all", "opened_image"]

DECODING = 2
"""Version of the decoder in the names of caches: raised where the same files give other pixels."""

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
_DEFAULT_EDGE = 32
_HIGHEST_OF_8_BITS = 2**8 - 1
_HIGHEST_OF_16_BITS = 2**16 - 1


def decode_all(
    count: int, image: Callable[[int], AbstractContextManager[Image.Image]], settings: TaskSettings
) -> NDArray[np.uint8]:
    """Decodes images to one size and one number of channels.

    Where the settings leave them open, it is the size that all images have, else 32 × 32, and
    one channel where all images are grey, else three. Of 16 bits the upper 8 are kept. Grey values
    of 32 bits are taken for 8 where none of all images' is above 255, else for 16.

    Returns:
        ``[count, channels, height, width]`` in 0 … 255.

    Raises:
        DataError: An image cannot be read.
    """
    edge, is_deep = settings.image_size, False
    channels: int | None = settings.channels
    size = None if edge is None else (edge, edge)
    while True:
        # What the first image suggests holds until another one contradicts it, early as a rule.
        pixels = _decode_alike(count, image, size, channels, is_deep)
        if not isinstance(pixels, _Contradiction):
            return pixels
        size = pixels.size or size
        channels = pixels.channels or channels
        is_deep = pixels.is_deep or is_deep


@dataclass(frozen=True, slots=True)
class _Contradiction:
    """What is to be assumed instead of what the first image suggested."""

    size: tuple[int, int] | None
    channels: int | None
    is_deep: bool


def _decode_alike(
    count: int,
    image: Callable[[int], AbstractContextManager[Image.Image]],
    size: tuple[int, int] | None,
    channels: int | None,
    is_deep: bool,
) -> NDArray[np.uint8] | _Contradiction:
    pixels: NDArray[np.uint8] | None = None
    has_shallow = False
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
            of_32_bits = _is_of_32_bits(found)
            if of_32_bits and not is_deep:
                is_deep = int(np.asarray(found).max()) > _HIGHEST_OF_8_BITS
                has_shallow |= not is_deep
            other_bits = is_deep and has_shallow
            if other_size or other_depth or other_bits:
                return _Contradiction(
                    (_DEFAULT_EDGE, _DEFAULT_EDGE) if other_size else None,
                    3 if other_depth else None,
                    is_deep,
                )
            shift = 0 if of_32_bits and not is_deep else 8
            pixels[index] = _values(upright, (width, height), depth, shift)
    if pixels is None:
        raise ValueError("there are no images")
    return pixels


def _upright(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _is_of_32_bits(image: Image.Image) -> bool:
    # Pillow gives 16 bits of this one format as 32.
    return image.mode == "I" and image.format != "PPM"


def _values(image: Image.Image, size: tuple[int, int], channels: int, shift: int) -> NDArray[Any]:
    """One image as uint8 ``[channels, height, width]``, without the ``shift`` lowest bits."""
    from PIL import Image

    if image.mode == "P":
        image = image.convert("RGBA")  # a palette's transparency survives no other way
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> shift).astype(np.uint8))
    plain = image.convert("L" if channels == 1 else "RGB")
    if plain.size != size:
        plain = plain.resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


@contextmanager
def opened_image(
    file: Path | IO[bytes], name: str, settings: TaskSettings
) -> Iterator[Image.Image]:
    """Opens an image; errors, also those of decoding it, become :class:`DataError`.

    Raises:
        DataError: It cannot be read, its range of values is unknown, or Pillow is missing.
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
            _check_range(image, name)
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{name}: every image must be readable, but this one is not ({error}): "
            "replace or remove it"
        ) from error


def _check_range(image: Image.Image, name: str) -> None:
    if image.mode == "F":
        held = "floats"
    elif image.mode == "I":
        values = np.asarray(image)
        lowest, highest = int(values.min()), int(values.max())
        if lowest >= 0 and highest <= _HIGHEST_OF_16_BITS:
            return
        held = f"values from {lowest} to {highest}"
    else:
        return
    raise DataError(
        f"{name}: an image must hold values of 8 or 16 bits, 0 … {_HIGHEST_OF_16_BITS}, but this "
        f"one holds {held}: store it with 8 or 16 bits, or use kind 'arrays'"
    )

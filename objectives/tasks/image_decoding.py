"""Decoding images to one array of pixels."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.pixels import (
    DEFAULT_BACKGROUND,
    HIGHEST_OF_16_BITS,
    flat,
    is_deep,
    turned_upright,
    values_of,
)
from greenfront.objectives.tasks.raw import ArrayInputs, Pictures, array_inputs
from greenfront.objectives.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["DECODED", "decoded", "decoder_settings", "open_image", "pixel_inputs"]

DECODED = ("pixels", "deep", "notes")
"""Arrays that decoding yields, by name."""

_VERSION = 3
"""Of the decoder: raised where the same files give other pixels."""

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
_DEFAULT_EDGE = 32

# What Pillow raises for files that are damaged or of a kind that it cannot read.
_DAMAGED = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

OpenImage = Callable[[int], AbstractContextManager["Image.Image"]]


@dataclass(frozen=True, slots=True)
class _Form:
    """What all images are made to.

    Attributes:
        size: Width and height; ``None``: those of the first image.
        channels: 1 or 3; ``None``: those of the first image.
        background: What shows through transparent pixels.
        deep: Lowest and highest value of all images of 16 bits; ``None`` where there are none.
    """

    size: tuple[int, int] | None
    channels: int | None
    background: str
    deep: tuple[int, int] | None = None


@dataclass(slots=True)
class _Seen:
    """How many images needed something that people have to know."""

    counts: Counter[str] = field(default_factory=Counter)

    def notes(self, form: _Form, pixels: NDArray[np.uint8], settings: TaskSettings) -> list[str]:
        """What was seen and done, in words."""
        notes, total = [], len(pixels)
        if settings.image_size is None and form.size is not None:
            notes.append(
                f"images have several sizes: all are resized to {form.size[0]} × {form.size[1]}, "
                "which image_size changes"
            )
        for told, count in sorted(self.counts.items()):
            of = f"all {total}" if count == total else f"{count} of the {total}"
            notes.append(f"{of} images {told}")
        if form.deep is not None:
            low, high = form.deep
            notes.append(f"grey values of 16 bits, {low} to {high} in all, are scaled to 0 … 255")
        if pixels.min() == pixels.max():
            notes.append(f"all pixels of all images are {pixels.min()}: there is nothing to learn")
        return notes


def decoder_settings(settings: TaskSettings) -> list[Any]:
    """What decoded images follow from besides their files, for the name of a cache."""
    return [_VERSION, settings.image_size, settings.channels, settings.background]


def decoded(
    count: int, image: OpenImage, settings: TaskSettings
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Decodes images to one size and one number of channels.

    Where the settings leave them open, it is the size that all images have, else 32 × 32, and
    one channel where all images are grey, else three. Transparent pixels show the background, white
    if none is stated. Grey values of 16 bits are scaled by their range over all images. Those of 32
    bits are taken for 8 where none of all images' is above 255, else for 16.

    Yields:
        ``pixels``, uint8 ``[count, channels, height, width]``; ``deep``, the lowest and highest
        grey value of 16 bits, or nothing where there are none; and ``notes``, str ``[notes]``.

    Raises:
        DataError: An image cannot be read, or all images are one and the same plane.
    """
    edge = settings.image_size
    size = None if edge is None else (edge, edge)
    form = _Form(size, settings.channels, settings.background or DEFAULT_BACKGROUND)
    while True:
        # What the first image suggests holds until another one contradicts it, early as a rule.
        seen = _Seen()
        found = _decode_alike(count, image, form, seen)
        if not isinstance(found, _Form):
            break
        form = found
    yield "pixels", found
    yield "deep", np.array(form.deep or (), dtype=np.int64)
    yield "notes", np.array(seen.notes(form, found, settings), dtype=str)


def pixel_inputs(kept: Mapping[str, NDArray[Any]], source: str) -> ArrayInputs:
    """Inputs of what :func:`decoded` has yielded."""
    low_and_high = kept["deep"].tolist()
    deep = (low_and_high[0], low_and_high[1]) if low_and_high else None
    return replace(array_inputs(kept["pixels"], source), pictures=Pictures(deep))


def _decode_alike(
    count: int, image: OpenImage, form: _Form, seen: _Seen
) -> NDArray[np.uint8] | _Form:
    """The pixels, or the form that is to be assumed instead of this one."""
    pixels: NDArray[np.uint8] | None = None
    for index in range(count):
        with image(index) as found:
            if form.deep is None and is_deep(found):
                return replace(form, deep=_range(count, image))
            _look(found, seen)
            upright, shows = flat(turned_upright(found), form.background)
            if shows:
                words = f"have transparent pixels, which show the background {form.background}"
                seen.counts[words] += 1
            is_grey = found.mode in _GREY_MODES or found.mode.startswith("I;16")
            if pixels is None:
                width, height = form.size or upright.size
                depth = form.channels or (1 if is_grey else 3)
                pixels = np.empty((count, depth, height, width), dtype=np.uint8)
            other_size = form.size is None and upright.size != (width, height)
            other_depth = form.channels is None and depth == 1 and not is_grey
            if other_size or other_depth:
                return replace(
                    form,
                    size=(_DEFAULT_EDGE, _DEFAULT_EDGE) if other_size else form.size,
                    channels=3 if other_depth else form.channels,
                )
            pixels[index] = values_of(upright, (width, height), depth, form.deep)
    if pixels is None:
        raise ValueError("there are no images")
    return pixels


def _range(count: int, image: OpenImage) -> tuple[int, int]:
    """Lowest and highest of all grey values of more than 8 bits."""
    low, high = HIGHEST_OF_16_BITS, 0
    for index in range(count):
        with image(index) as found:
            if found.mode.startswith("I"):
                values = np.asarray(found)
                low, high = min(low, int(values.min())), max(high, int(values.max()))
    return low, high


def _look(image: Image.Image, seen: _Seen) -> None:
    """Notes what is lost of an image."""
    if getattr(image, "n_frames", 1) > 1:
        seen.counts["have several frames or pages, of which the first is read"] += 1
    if not image.mode.startswith("I") and any(";16" in str(tile) for tile in _tiles(image)):
        seen.counts["have colours of 16 bits, of which the upper 8 are read"] += 1


def _tiles(image: Image.Image) -> list[Any]:
    """How the file stores its pixels; empty for an image that is in no file."""
    return list(getattr(image, "tile", ()))


@contextmanager
def open_image(file: Path | IO[bytes], name: str, settings: TaskSettings) -> Iterator[Image.Image]:
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd tags, and of large images before they are read
            with Image.open(file) as image:
                _check_range(image, name)
                yield image
    except (*_DAMAGED, Image.DecompressionBombError) as error:
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
        if lowest >= 0 and highest <= HIGHEST_OF_16_BITS:
            return
        held = f"values from {lowest} to {highest}"
    else:
        return
    raise DataError(
        f"{name}: an image must hold values of 8 or 16 bits, 0 … {HIGHEST_OF_16_BITS}, but this "
        f"one holds {held}: store it with 8 or 16 bits, or use kind 'arrays'"
    )

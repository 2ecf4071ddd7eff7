"""From one opened image to its pixels: Pillow and NumPy alone, since exported models carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "DEFAULT_BACKGROUND",
    "HIGHEST_OF_16_BITS",
    "flat",
    "is_deep",
    "turned_upright",
    "values_of",
]

DEFAULT_BACKGROUND = "#ffffff"
"""What shows through transparent pixels."""

HIGHEST_OF_8_BITS = 2**8 - 1
HIGHEST_OF_16_BITS = 2**16 - 1


def turned_upright(image: Image.Image) -> Image.Image:
    """As its camera says that it was held."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def is_deep(image: Image.Image) -> bool:
    """Whether grey values have 16 bits."""
    # Pillow gives 16 bits of one format as 32.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return True
    return image.mode == "I" and int(np.asarray(image).max()) > HIGHEST_OF_8_BITS


def flat(image: Image.Image, background: str) -> tuple[Image.Image, bool]:
    """An image without transparency, and whether the background shows where there was some."""
    from PIL import Image

    if image.mode.startswith("I") or not image.has_transparency_data:
        return image, False
    rgba = image.convert("RGBA")
    if int(np.asarray(rgba.getchannel("A")).min()) == HIGHEST_OF_8_BITS:
        return image, False
    canvas = Image.new("RGBA", rgba.size, background)
    canvas.alpha_composite(rgba)
    return canvas.convert("RGB"), True


def values_of(
    image: Image.Image, size: tuple[int, int], channels: int, deep: tuple[int, int] | None
) -> NDArray[Any]:
    """One image without transparency as uint8 ``[channels, height, width]``.

    Args:
        image: Of any mode.
        size: Width and height that it is resized to.
        channels: 1 or 3.
        deep: Lowest and highest value of all images of 16 bits; ``None`` where there are none.
    """
    from PIL import Image

    if image.mode == "P":
        image = image.convert("RGBA")  # a palette with an opaque channel converts no other way
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if deep is not None:
            low, high = deep if deep[0] < deep[1] else (0, HIGHEST_OF_16_BITS)
            values = (values.astype(np.float64) - low) * HIGHEST_OF_8_BITS / (high - low)
        image = Image.fromarray(values.round().astype(np.uint8))
    plain = image.convert("L" if channels == 1 else "RGB")
    if plain.size != size:
        plain = plain.resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)

"""Augmentation: images that are moved a little each time they are seen in training."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from greenfront.errors import UsageError

__all__ = ["draw_moves", "move_images"]

FARTHEST_SHARE = 8
"""Images are shifted by up to an eighth of their edge, and by at least one pixel."""

KINDS = ("none", "shift", "flip", "shift+flip")


def draw_moves(
    kind: str, count: int, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor | None:
    """How each of some images is moved in one epoch.

    Drawn for all examples at once and not batch by batch, so that a batch which has to be computed
    in parts is moved as it would have been in one.

    Args:
        kind: ``"none"``, ``"shift"``, ``"flip"`` (left and right are swapped, half of the time) or
            ``"shift+flip"``.
        count: Of the images.
        shape: Of one image, ``[channels, height, width]``.
        generator: On the CPU, so that a seed means the same on every device.

    Returns:
        int64 ``[count, 3]``: pixels down, pixels to the right, and whether it is flipped; ``None``
        where nothing is moved.

    Raises:
        UsageError: The kind is unknown, or the inputs are no images.
    """
    if kind == "none":
        return None
    if kind not in KINDS:
        known = ", ".join(map(repr, KINDS))
        raise UsageError(f"augmentation {kind!r} is unknown: take one of {known}")
    if len(shape) != 3:
        raise UsageError(
            f"augmentation {kind!r} moves images [channels, height, width], but the inputs are of "
            f"shape {list(shape)}: take 'none'"
        )
    moves = torch.zeros(count, 3, dtype=torch.int64)
    if "shift" in kind:
        for column, farthest in enumerate(_farthest(shape)):
            moves[:, column] = torch.randint(-farthest, farthest + 1, (count,), generator=generator)
    if "flip" in kind:
        moves[:, 2] = torch.randint(2, (count,), generator=generator)
    return moves


def move_images(images: Tensor, moves: Tensor) -> Tensor:
    """Flips and then shifts images as :func:`draw_moves` says; what comes in from outside is zero.

    Channels are standardised, so zero is their mean.
    """
    count, channels, height, width = images.shape
    device = images.device
    down, right = _farthest(images.shape[1:])
    padded = functional.pad(images, (right, right, down, down))
    rows = torch.arange(height, device=device) + down - moves[:, :1]
    columns = torch.arange(width, device=device) - moves[:, 1:2]
    # The pixel that stood at w − 1 − x; outside of the image, on either side, are zeros.
    columns = torch.where(moves[:, 2:].bool(), width - 1 - columns, columns) + right
    return padded[
        torch.arange(count, device=device)[:, None, None, None],
        torch.arange(channels, device=device)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


def _farthest(shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = shape[1:]
    return max(1, height // FARTHEST_SHARE), max(1, width // FARTHEST_SHARE)

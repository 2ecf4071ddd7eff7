"""Augmentation: examples that are moved or mixed anew each time they are seen in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from greenfront.errors import UsageError

__all__ = ["Mixture", "draw_mixtures", "draw_moves", "move_images"]

FARTHEST_SHARE = 8
"""Images are shifted by up to an eighth of their edge, and by at least one pixel."""

MOST_TURNED = math.radians(15)
MOST_SCALED = 1.15
"""And as much smaller; height and width each by itself."""
AFFINE_SHIFT_SHARE = 0.08
"""Of the edge, up to which an affine move shifts, too."""

KINDS = ("none", "shift", "flip", "shift+flip", "affine", "affine+flip")


@dataclass(frozen=True, slots=True)
class Mixture:
    """How the examples of one batch are mixed with others (Zhang et al., arXiv 1710.09412).

    Attributes:
        partners: Of every example of the split, the one that it is mixed with, ``[n]``.
        share: Of the example itself, 0 to 1.
    """

    partners: Tensor
    share: float

    def of(self, first: Tensor, second: Tensor) -> Tensor:
        """Inputs, or their losses, in these shares."""
        return self.share * first + (1 - self.share) * second


def draw_mixtures(
    mixup: float, shuffled: Tensor, batches: int, generator: torch.Generator
) -> Sequence[Mixture | None]:
    """How the batches of one epoch are mixed: each ``None`` where ``mixup`` is 0.

    Args:
        mixup: Both parameters of the Beta distribution of a batch's share.
        shuffled: The examples, of which each batch has a part, ``[n]``.
        batches: How many.
        generator: On the CPU.
    """
    if not mixup:
        return (None,) * batches
    seed = int(torch.randint(2**31, (1,), generator=generator))
    partners = torch.randperm(len(shuffled), generator=generator).to(shuffled.device)
    shares = np.random.default_rng(seed).beta(mixup, mixup, batches)
    return [Mixture(partners, float(share)) for share in shares]


def draw_moves(
    kind: str, count: int, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor | None:
    """How each of some images is moved in one epoch.

    Drawn for all examples at once and not batch by batch, so that a batch which has to be computed
    in parts is moved as it would have been in one.

    Args:
        kind: ``"none"``, ``"shift"``, ``"flip"`` (left and right are swapped, half of the time),
            ``"shift+flip"``, ``"affine"`` (shifted, turned and scaled) or ``"affine+flip"``.
        count: Of the images.
        shape: Of one image, ``[channels, height, width]``.
        generator: On the CPU, so that a seed means the same on every device.

    Returns:
        int64 ``[count, 3]``: pixels down, pixels to the right, and whether it is flipped; of an
        affine kind float32 ``[count, 2, 3]``: where in the image a place of the moved one lies, as
        :func:`torch.nn.functional.affine_grid` takes it; ``None`` where nothing is moved.

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
    if "affine" in kind:
        return _affine_moves(count, shape, generator, flip="flip" in kind)
    moves = torch.zeros(count, 3, dtype=torch.int64)
    if "shift" in kind:
        for column, farthest in enumerate(_farthest(shape)):
            moves[:, column] = torch.randint(-farthest, farthest + 1, (count,), generator=generator)
    if "flip" in kind:
        moves[:, 2] = torch.randint(2, (count,), generator=generator)
    return moves


def move_images(images: Tensor, moves: Tensor) -> Tensor:
    """Moves images as :func:`draw_moves` says.

    Shifted alone, what comes in from outside is zero: channels are standardised, so zero is their
    mean. Affine moves repeat the pixels at the edge, which are mostly background.
    """
    if moves.ndim == 3:
        grid = functional.affine_grid(moves, list(images.shape), align_corners=False)
        moved: Tensor = functional.grid_sample(
            images, grid, padding_mode="border", align_corners=False
        )
        return moved
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


def _affine_moves(
    count: int, shape: tuple[int, ...], generator: torch.Generator, *, flip: bool
) -> Tensor:
    """Matrices ``[count, 2, 3]`` from moved to given places, both from -1 to 1 in the image."""
    height, width = shape[1:]

    def drawn() -> Tensor:
        return 2 * torch.rand(count, generator=generator) - 1

    angle = MOST_TURNED * drawn()
    wider, higher = (torch.exp(math.log(MOST_SCALED) * drawn()) for _ in range(2))
    right, down = (2 * AFFINE_SHIFT_SHARE * drawn() for _ in range(2))
    across = torch.stack([angle.cos() / wider, -angle.sin() * height / width / higher, right], 1)
    along = torch.stack([angle.sin() * width / height / wider, angle.cos() / higher, down], 1)
    if flip:
        mirrored = torch.ones(count, 3)
        mirrored[:, 0] -= 2 * torch.randint(2, (count,), generator=generator)
        across, along = across * mirrored, along * mirrored
    return torch.stack([across, along], 1)


def _farthest(shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = shape[1:]
    return max(1, height // FARTHEST_SHARE), max(1, width // FARTHEST_SHARE)

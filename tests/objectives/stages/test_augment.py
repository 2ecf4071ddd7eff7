from __future__ import annotations

import pytest
import torch
from torch import Tensor

from greenfront.errors import UsageError
from greenfront.objectives.stages.augment import draw_moves, move_images

SHAPE = (2, 16, 24)
FARTHEST = (2, 3)


def drawn(kind: str, count: int = 400, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Tensor:
    moves = draw_moves(kind, count, shape, torch.Generator().manual_seed(seed))
    assert moves is not None
    return moves


def images(count: int = 12) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(1))


def by_hand(image: Tensor, down: int, right: int, flipped: int) -> Tensor:
    """Pixel by pixel."""
    height, width = SHAPE[1:]
    moved = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            y, x = row - down, column - right
            if 0 <= y < height and 0 <= x < width:
                moved[:, row, column] = image[:, y, width - 1 - x if flipped else x]
    return moved


def test_nothing_is_drawn_where_nothing_moves() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert draw_moves("none", 10, (5,), generator) is None  # a table will do
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("kind", ["shift", "flip", "shift+flip"])
def test_every_move_in_reach_is_drawn(kind: str) -> None:
    moves = drawn(kind)
    shifts = [set(range(-far, far + 1)) if "shift" in kind else {0} for far in FARTHEST]
    flips = {0, 1} if "flip" in kind else {0}
    assert [set(column.tolist()) for column in moves.T] == [*shifts, flips]
    assert len(moves.unique(dim=0)) == len(shifts[0]) * len(shifts[1]) * len(flips)


def test_the_seed_decides_the_moves() -> None:
    assert torch.equal(drawn("shift+flip", seed=3), drawn("shift+flip", seed=3))
    assert not torch.equal(drawn("shift+flip", seed=3), drawn("shift+flip", seed=4))


def test_small_images_move_by_one_pixel() -> None:
    assert drawn("shift", shape=(1, 4, 7)).abs().amax(0).tolist() == [1, 1, 0]


@pytest.mark.parametrize("kind", ["shift", "flip", "shift+flip"])
def test_moved_images_are_the_originals_elsewhere(kind: str) -> None:
    originals, moves = images(), drawn(kind, 12)
    expected = [
        by_hand(image, *move) for image, move in zip(originals, moves.tolist(), strict=True)
    ]
    assert torch.equal(move_images(originals, moves), torch.stack(expected))


def test_each_image_moves_on_its_own() -> None:
    originals, moves = images(), drawn("shift+flip", 12)
    together = move_images(originals, moves)
    parts = [move_images(originals[i : i + 5], moves[i : i + 5]) for i in (0, 5, 10)]
    assert torch.equal(together, torch.cat(parts))


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(UsageError, match=r"inputs are of shape \[8\]: take 'none'"):
        draw_moves("shift", 3, (8,), torch.Generator())
    with pytest.raises(UsageError, match="'turn' is unknown: take one of 'none', 'shift', 'flip'"):
        draw_moves("turn", 3, SHAPE, torch.Generator())

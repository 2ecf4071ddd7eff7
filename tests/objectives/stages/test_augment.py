from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from greenfront.errors import UsageError
from greenfront.objectives.stages import augment
from greenfront.objectives.stages.augment import draw_mixtures, draw_moves, move_images

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


# --- affine ------------------------------------------------------------------------------------


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Affine moves that leave images where they are."""
    monkeypatch.setattr(augment, "MOST_TURNED", 0.0)
    monkeypatch.setattr(augment, "MOST_SCALED", 1.0)
    monkeypatch.setattr(augment, "AFFINE_SHIFT_SHARE", 0.0)
    return monkeypatch


@pytest.mark.usefixtures("still")
def test_an_affine_move_by_nothing_leaves_images_alone() -> None:
    torch.testing.assert_close(move_images(images(), drawn("affine", 12)), images())


@pytest.mark.usefixtures("still")
def test_half_of_the_images_are_flipped_and_nothing_else() -> None:
    moves = drawn("affine+flip")
    shown = move_images(images(400), moves)
    flipped = moves[:, 0, 0] < 0
    assert 150 < int(flipped.sum()) < 250
    torch.testing.assert_close(shown[flipped], images(400)[flipped].flip(-1))
    torch.testing.assert_close(shown[~flipped], images(400)[~flipped])


def test_a_quarter_turn_is_one_also_of_images_that_are_wider_than_high(
    still: pytest.MonkeyPatch,
) -> None:
    still.setattr(augment, "MOST_TURNED", math.pi / 2)
    still.setattr(torch, "rand", lambda count, generator: torch.ones(count))
    moves = drawn("affine", 12)
    height = SHAPE[1]
    middle = slice((SHAPE[2] - height) // 2, (SHAPE[2] + height) // 2)
    turned = move_images(images(), moves)[..., middle]
    square = images()[..., middle]
    torch.testing.assert_close(turned, torch.rot90(square, 1, (-2, -1)), rtol=1e-3, atol=1e-3)


def test_a_shift_moves_by_that_share_of_the_edge(still: pytest.MonkeyPatch) -> None:
    still.setattr(augment, "AFFINE_SHIFT_SHARE", 0.25)
    still.setattr(torch, "rand", lambda count, generator: torch.ones(count))
    shown = move_images(images(), drawn("affine", 12))
    down, right = SHAPE[1] // 4, SHAPE[2] // 4
    inside = images()[..., down:, right:]
    torch.testing.assert_close(shown[..., :-down, :-right], inside, rtol=1e-4, atol=1e-4)
    # What comes in repeats the edge.
    edge = images()[:, :, -1:, right:].expand(-1, -1, down, -1)
    torch.testing.assert_close(shown[..., -down:, :-right], edge, rtol=1e-4, atol=1e-4)


def test_affine_moves_stay_within_their_bounds() -> None:
    moves = drawn("affine", 2000, shape=(1, 20, 20))
    scale = moves[:, :, :2].norm(dim=1)
    assert 1 / 1.151 < float(scale.min()) < 0.9
    assert 1.1 < float(scale.max()) < 1.151
    assert 0.15 < float(moves[:, :, 2].abs().max()) <= 0.16
    assert torch.equal(moves, drawn("affine", 2000, shape=(1, 20, 20)))


# --- mixing ------------------------------------------------------------------------------------


def test_shares_are_those_of_the_beta_distribution_and_partners_all_examples() -> None:
    generator = torch.Generator().manual_seed(0)
    mixtures = draw_mixtures(0.4, torch.randperm(50), 3000, generator)
    shares = torch.tensor([each.share for each in mixtures if each is not None])
    assert len(shares) == 3000
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(shares.var()) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.1)
    first = mixtures[0]
    assert first is not None
    assert sorted(first.partners.tolist()) == list(range(50))
    assert first.of(torch.tensor(1.0), torch.tensor(0.0)).item() == pytest.approx(first.share)


def test_no_mixing_draws_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert draw_mixtures(0.0, torch.arange(5), 3, generator) == (None, None, None)
    assert torch.equal(generator.get_state(), before)

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from contracts.few_bits import quantize
from greenfront.objectives.stages.export import to_onnx, weight_count
from greenfront.objectives.stages.fake_quant import fake_quantized
from greenfront.objectives.stages.int8 import Int8Recipe
from greenfront.objectives.stages.prune import prune
from greenfront.objectives.stages.quantize import quantize_weights
from greenfront.objectives.stages.reality import Claim, unreal
from greenfront.objectives.stages.sparsify import (
    LARGEST_SHARE,
    compressed_bytes,
    zero_share,
    zero_weakest,
    zeros_kept,
)
from greenfront.spaces.techniques.precision import Precision

IMAGES = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(0))
IDS = torch.randint(0, 40, (6, 9), generator=torch.Generator().manual_seed(0))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.mix = nn.Embedding(40, 32), nn.Linear(32, 64)
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 12)
        for layer in (self.table, self.mix, self.head):
            nn.init.normal_(layer.weight, std=0.1)

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(self.mix(self.table(ids)).mean(1).relu()))
        return logits


def images() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, groups=4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 16, 10),
    )
    with torch.no_grad():
        model[1].weight.uniform_(-1, 1)  # of either sign: folded in, zeros may become negative
    return model.eval()


def weights_of(model: nn.Module) -> list[Tensor]:
    kinds = (nn.Conv2d, nn.Linear, nn.Embedding)
    return [layer.weight.detach() for layer in model.modules() if isinstance(layer, kinds)]


def zeros_in(model: nn.Module) -> float:
    flat = torch.cat([weight.flatten() for weight in weights_of(model)])
    return float((flat == 0).float().mean())


def trained(model: nn.Module, inputs: Tensor, steps: int = 5) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    labels = torch.arange(len(inputs)) % 3
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    model.eval()


# --- which weights -----------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_smallest_weights_of_the_whole_network_go(share: float) -> None:
    model = Words()
    before = [weight.clone() for weight in weights_of(model)]
    zero_weakest(model, share)
    assert zeros_in(model) == pytest.approx(share, abs=1e-3)
    gone = [old[new == 0].abs() for old, new in zip(before, weights_of(model), strict=True)]
    left = [new[new != 0].abs() for new in weights_of(model)]
    assert torch.cat(gone).max() < torch.cat(left).min()
    for old, new in zip(before, weights_of(model), strict=True):
        assert torch.equal(new[new != 0], old[new != 0])


def test_norms_and_biases_are_let_alone() -> None:
    model = Words()
    kept = [part.clone() for part in (model.norm.weight, model.mix.bias, model.head.bias)]
    zero_weakest(model, 0.95)
    after = (model.norm.weight, model.mix.bias, model.head.bias)
    assert all(torch.equal(old, new) for old, new in zip(kept, after, strict=True))


def test_no_layer_is_emptied() -> None:
    model = Words()
    with torch.no_grad():
        model.mix.weight *= 1e-6
    zero_weakest(model, 0.95)
    left = float((model.mix.weight != 0).float().mean())
    assert left == pytest.approx(1 - LARGEST_SHARE, abs=1e-3)


def test_a_share_of_nothing_changes_nothing() -> None:
    model = Words()
    before = [weight.clone() for weight in weights_of(model)]
    zero_weakest(model, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(model), strict=True))
    zero_weakest(nn.ReLU(), 0.5)


# --- they stay ---------------------------------------------------------------------------------


def test_training_moves_all_weights_but_the_zeros() -> None:
    model = images()
    zero_weakest(model, 0.6)
    before = [weight.clone() for weight in weights_of(model)]
    names = set(model.state_dict())
    with zeros_kept(model):
        trained(model, IMAGES)
    assert set(model.state_dict()) == names
    for old, new in zip(before, weights_of(model), strict=True):
        assert torch.equal(new == 0, old == 0)
        assert (new != old)[old != 0].float().mean() > 0.9
        assert not torch.signbit(new[new == 0]).any()


def test_without_it_training_would_undo_them() -> None:
    model = images()
    zero_weakest(model, 0.6)
    trained(model, IMAGES)
    assert zeros_in(model) < 0.1


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_zeros_and_rounding_compose(bits: int, tmp_path: Path) -> None:
    model = Words()
    zero_weakest(model, 0.6)
    zero = [weight == 0 for weight in weights_of(model)]
    with zeros_kept(model), fake_quantized(model, bits):
        trained(model, IDS)
        rounded = [weight.clone() for weight in weights_of(model)]
    assert not any(parametrize.is_parametrized(layer) for layer in model.modules())
    for is_zero, inside, weight in zip(zero, rounded, weights_of(model), strict=True):
        assert torch.equal(inside, weight)
        assert not weight[is_zero].any()
        assert all(len(row.unique()) <= 2**bits for row in weight)
    to_onnx(model, IDS[:1], tmp_path / "32.onnx")
    quantize_weights(tmp_path / "32.onnx", tmp_path / "few.onnx", bits)
    assert zero_share(tmp_path / "few.onnx") == pytest.approx(zeros_in(model), abs=0.01)


def test_pruned_channels_and_zeros_compose() -> None:
    model = images()
    prune(model, IMAGES[:2], 0.5, model[-1])
    zero_weakest(model, 0.5)
    shapes = [tuple(weight.shape) for weight in weights_of(model)]
    assert shapes == [(16, 3, 3, 3), (16, 4, 3, 3), (10, 256)]
    assert zeros_in(model) == pytest.approx(0.5, abs=0.01)


# --- what the file says ------------------------------------------------------------------------


PRECISIONS = [
    *(Precision(32), Precision(16), Precision(8, weight_only=True), Precision(4), Precision(2)),
    Precision(8),
]


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("kind", ["images", "words"])
def test_zeros_are_counted_in_the_file(kind: str, precision: Precision, tmp_path: Path) -> None:
    model, example = (images(), IMAGES) if kind == "images" else (Words(), IDS)
    dense, reference, artefact = (tmp_path / f"{n}.onnx" for n in ("dense", "32", "small"))
    to_onnx(model, example[:1], dense)
    assert zero_share(dense) == 0
    zero_weakest(model, 0.6)
    to_onnx(model, example[:1], reference)
    if precision.bits == 32:
        artefact = reference
    else:
        recipe: Int8Recipe = "static" if kind == "images" else "dynamic"
        quantize(reference, artefact, precision, recipe, example.numpy(), reduce_range=True)
    share = zero_share(artefact)
    # Few bits round further weights to zero, but never a zero to something else.
    assert share >= 0.6 - 1e-3
    assert share < {4: 0.8, 2: 1.0}.get(precision.bits, 0.65)
    claim = Claim(precision, zeros=0.6)
    assert unreal(claim, reference, artefact, example[:1].numpy()) == ()
    assert weight_count(artefact) == weight_count(dense)
    assert compressed_bytes(artefact) < artefact.stat().st_size


def test_only_a_compressed_copy_gets_smaller(tmp_path: Path) -> None:
    model = images()
    sizes, zipped = {}, {}
    for share in (0.0, 0.5, 0.9):
        zero_weakest(model, share)
        path = tmp_path / f"{share}.onnx"
        to_onnx(model, IMAGES[:1], path)
        sizes[share], zipped[share] = path.stat().st_size, compressed_bytes(path)
        # The same method, with a few bytes of another frame around it.
        assert zipped[share] == pytest.approx(len(gzip.compress(path.read_bytes(), 6)), abs=64)
    assert len(set(sizes.values())) == 1
    assert zipped[0.0] > 0.85 * sizes[0.0]
    assert zipped[0.5] < 0.75 * sizes[0.5]
    assert zipped[0.9] < 0.30 * sizes[0.9]


def test_zeros_that_are_not_there_are_found_out(tmp_path: Path) -> None:
    path = tmp_path / "dense.onnx"
    to_onnx(images(), IMAGES[:1], path)
    (reason,) = unreal(Claim(Precision(), zeros=0.6), path, path, IMAGES[:1].numpy())
    assert reason == "60% zeros are claimed, but 0% of the file's weights are zero"


def test_zeros_pass_for_no_other_saving(tmp_path: Path) -> None:
    model, dense, path = images(), tmp_path / "dense.onnx", tmp_path / "sparse.onnx"
    to_onnx(model, IMAGES[:1], dense)
    zero_weakest(model, 0.9)
    to_onnx(model, IMAGES[:1], path)
    claim = Claim(Precision(4), weight_count(dense), zeros=0.9)
    reasons = unreal(claim, path, path, IMAGES[:1].numpy())
    assert [reason.partition(" claimed")[0] for reason in reasons] == [
        "pruning is",
        "4 bits are",
        "4 bits are",
    ]

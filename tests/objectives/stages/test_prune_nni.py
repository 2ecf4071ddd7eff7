"""NNI's pruners as importances: the channels that they think least of leave the tensors."""

from __future__ import annotations

import importlib.util
import logging
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.stages.export import INPUT, to_onnx
from greenfront.objectives.stages.nni_importance import TAYLOR_STEPS, load_nni, nni_scores
from greenfront.objectives.stages.prune import parameter_count, prune, widths
from greenfront.spaces.techniques.pruning import IMPORTANCES, Pruning, is_of_nni

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nni") is None and os.environ.get("GREENFRONT_REQUIRE_NNI") != "1",
    reason="nni is not installed",
)

PRUNERS = [name for name in IMPORTANCES if is_of_nni(name)]
CLASSES, BATCH = 3, 16
IMAGES = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))
SEQUENCES = torch.randn(64, 6, 5, generator=torch.Generator().manual_seed(2))
LABELS = torch.arange(64) % CLASSES


def loss_on(inputs: Tensor) -> Callable[[nn.Module, int], Tensor]:
    def loss(network: nn.Module, number: int) -> Tensor:
        some = torch.arange(number * BATCH, (number + 1) * BATCH) % len(inputs)
        return functional.cross_entropy(network(inputs[some]), LABELS[some])

    return loss


def cnn() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Conv2d(16, 32, 3, groups=4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 24),
        nn.ReLU(),
        nn.Linear(24, CLASSES),
    ).eval()


class Transformer(nn.Module):
    """One block with the names of BERT in transformers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Linear(5, 16), nn.Linear(16, CLASSES)
        self.num_attention_heads, self.all_head_size = 4, 16
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.join, self.norm = nn.Linear(16, 16), nn.LayerNorm(16)
        self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, inputs: Tensor) -> Tensor:
        n, length, _ = inputs.shape
        hidden = self.embed(inputs)
        heads = (n, length, self.num_attention_heads, 4)
        parts = (self.query, self.key, self.value)
        q, k, v = (part(hidden).view(heads).transpose(1, 2) for part in parts)
        weights = (q @ k.transpose(-1, -2) / 2).softmax(-1)
        seen = (weights @ v).transpose(1, 2).reshape(n, length, self.all_head_size)
        hidden = self.norm(hidden + self.join(seen))
        hidden = hidden + self.narrow(functional.gelu(self.wide(hidden)))
        logits: Tensor = self.head(hidden.mean(1))
        return logits


def scores_of(name: str, model: nn.Sequential) -> dict[nn.Module, Tensor]:
    torch.manual_seed(3)
    return nni_scores(name, model, model[-1], 0.5, loss_on(IMAGES))


def layer_of(model: nn.Sequential, place: int) -> nn.Linear:
    layer = model[place]
    assert isinstance(layer, nn.Linear)
    return layer


# --- the scores are NNI's ---------------------------------------------------------------------


def test_l1_is_the_sum_of_sizes() -> None:
    model = cnn()
    for layer, scores in scores_of("nni:l1", model).items():
        torch.testing.assert_close(scores, layer.weight.abs().flatten(1).sum(1))


def test_fpgm_is_the_distance_to_the_others() -> None:
    model = cnn()
    for layer, scores in scores_of("nni:fpgm", model).items():
        rows = layer.weight.detach().flatten(1)
        wanted = torch.stack([(rows - row).norm(dim=1).sum() for row in rows])
        torch.testing.assert_close(scores, wanted)


def test_taylor_is_the_change_of_the_loss() -> None:
    model = cnn()
    found = scores_of("nni:taylor", model)
    wanted = {layer: torch.zeros(len(scores)) for layer, scores in found.items()}
    for number in range(TAYLOR_STEPS):
        model.zero_grad()
        loss_on(IMAGES)(model, number).backward()
        for layer, sums in wanted.items():
            change = (layer.weight * layer.weight.grad).square().flatten(1).sum(1)
            sums += change.detach() / TAYLOR_STEPS
    for layer, scores in found.items():
        torch.testing.assert_close(scores, wanted[layer], rtol=1e-3, atol=1e-12)


def test_movement_favours_what_moves_away_from_zero() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.Linear(8, 1, bias=False))
    with torch.no_grad():
        layer_of(model, 0).weight.fill_(1.0)
        layer_of(model, 1).weight.copy_(torch.tensor([[-1.0, 1.0, 0.0] * 2 + [-1.0, 1.0]]))

    def loss(network: nn.Module, _: int) -> Tensor:
        return network(torch.ones(2, 4)).mean()  # falls where the first kind of neuron grows

    scores = nni_scores("nni:movement", model, model[1], 0.25, loss)[model[0]]
    growing, shrinking = scores[0::3], scores[1::3]
    assert growing.min() > 0
    assert shrinking.max() < 0


@pytest.mark.parametrize("name", PRUNERS)
def test_every_layer_but_the_head_is_scored(name: str) -> None:
    model = cnn()
    sizes = {layer: len(scores) for layer, scores in scores_of(name, model).items()}
    assert sizes == {model[0]: 16, model[4]: 32, model[8]: 24}


@pytest.mark.parametrize("name", PRUNERS)
def test_scoring_leaves_the_network_as_it_is(name: str) -> None:
    model = cnn()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    same = dict(model.named_parameters())
    modules = str(model)
    scores_of(name, model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(same[key] is parameter for key, parameter in model.named_parameters())
    assert str(model) == modules
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training


@pytest.mark.parametrize("name", PRUNERS)
def test_the_same_seed_gives_the_same_scores(name: str) -> None:
    first, second = cnn(), cnn()
    pairs = zip(scores_of(name, first).values(), scores_of(name, second).values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


class Plain(nn.Linear):
    """A class that NNI has never heard of."""


def test_subclasses_of_known_layers_are_scored() -> None:
    model = nn.Sequential(Plain(4, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    (scores,) = nni_scores("nni:l1", model, model[-1], 0.5, None).values()
    assert scores.shape == (8,)


def test_what_nni_cannot_take_is_told() -> None:
    def loss(network: nn.Module, _: int) -> Tensor:
        raise ValueError(f"no {type(network).__name__} today")

    model = cnn()
    with pytest.raises(TrialFailed, match=r"'nni:taylor' \(no Sequential today\)") as failure:
        nni_scores("nni:taylor", model, model[-1], 0.5, loss)
    assert failure.value.cause == "cannot prune"


# --- the channels go ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRUNERS)
def test_the_channels_that_nni_thinks_least_of_go(name: str) -> None:
    model = cnn()
    layer = layer_of(model, 8)
    scores = scores_of(name, model)[layer]
    best = scores.argsort(stable=True)[12:].sort().values
    kept = layer.bias[best].clone()
    torch.manual_seed(3)
    pruning = Pruning(0.5, importance=name)
    prune(model, IMAGES[:2], pruning, layer_of(model, 10), loss=loss_on(IMAGES))
    assert torch.equal(layer.bias, kept)


@pytest.mark.parametrize("name", PRUNERS)
def test_the_exported_file_is_smaller_and_runs(name: str, tmp_path: Path) -> None:
    model = cnn()
    before = parameter_count(model)
    to_onnx(model, IMAGES[:1], tmp_path / "whole.onnx")
    removed = prune(
        model, IMAGES[:2], Pruning(0.5, importance=name), model[-1], loss=loss_on(IMAGES)
    )
    assert removed == pytest.approx(1 - parameter_count(model) / before)
    assert removed > 0.5
    shapes = [tuple(layer.weight.shape) for layer in model if hasattr(layer, "weight")]
    assert shapes == [(8, 3, 3, 3), (8,), (16, 2, 3, 3), (12, 64), (3, 12)]
    to_onnx(model, IMAGES[:1], tmp_path / "pruned.onnx")
    sizes = [(tmp_path / f"{which}.onnx").stat().st_size for which in ("whole", "pruned")]
    assert sizes[1] < 0.6 * sizes[0]
    session = onnxruntime.InferenceSession(str(tmp_path / "pruned.onnx"))
    (logits,) = session.run(None, {INPUT: IMAGES.numpy()})
    np.testing.assert_allclose(logits, model(IMAGES).detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("scope", ["uniform", "global"])
@pytest.mark.parametrize("name", PRUNERS)
def test_transformers_lose_heads_and_widths(name: str, scope: str) -> None:
    model = Transformer()
    before = parameter_count(model)
    pruning = Pruning(0.5, scope=scope, importance=name)
    prune(model, SEQUENCES[:2], pruning, model.head, loss=loss_on(SEQUENCES))
    assert parameter_count(model) < 0.7 * before
    assert model(SEQUENCES).shape == (64, CLASSES)
    if scope == "uniform":
        assert model.num_attention_heads == 2
        assert model.query.weight.shape == (8, 8)
        assert model.wide.weight.shape == (16, 8)


def test_a_head_that_nni_thinks_nothing_of_goes() -> None:
    model = Transformer()
    with torch.no_grad():
        for layer in (model.query, model.key, model.value):
            layer.weight[4:12] *= 1e-3
        wanted = model.join.weight[:, [*range(4), *range(12, 16)]].clone()
    prune(model, SEQUENCES[:2], Pruning(0.5, importance="nni:l1"), model.head)
    left = model.join.weight  # whose outputs are fewer, too
    assert left.shape == (8, 8)
    assert all(torch.isin(left[:, i], wanted[:, i]).all() for i in range(8))


class Unscored(nn.Module):
    """Channels of which NNI knows no layer: it does not know transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.head = nn.ConvTranspose2d(3, 16, 2), nn.Linear(16, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.up(inputs).relu().mean((2, 3)))
        return logits


def test_groups_without_a_known_layer_are_judged_by_magnitude() -> None:
    by_nni, by_size = Unscored(), Unscored()
    wanted = widths_with(by_nni)
    prune(by_nni, IMAGES[:2], Pruning(0.5, importance="nni:l1"), by_nni.head, original=wanted)
    prune(by_size, IMAGES[:2], Pruning(0.5), by_size.head, original=wanted)
    assert by_nni.up.weight.shape == (3, 8, 2, 2)
    assert torch.equal(by_nni.up.weight, by_size.up.weight)


def widths_with(model: Unscored) -> dict[str, int]:
    return {**widths(model), "up": model.up.out_channels}


# --- what it needs, what it leaves -----------------------------------------------------------


@pytest.mark.parametrize("name", ["nni:taylor", "nni:movement"])
def test_those_that_weigh_by_gradients_need_a_loss(name: str) -> None:
    model = cnn()
    with pytest.raises(UsageError, match=f"'{name}' weighs by gradients: give prune\\(\\) a loss"):
        prune(model, IMAGES[:2], Pruning(0.5, importance=name), model[-1])


def test_a_missing_nni_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nni", None)
    with pytest.raises(UsageError, match=r"need the package 'nni'.*pip install --no-deps nni==3"):
        load_nni()


def test_the_import_leaves_chance_and_the_log_alone(capsys: pytest.CaptureFixture[str]) -> None:
    random.seed(5)
    wanted = random.random()
    random.seed(5)
    load_nni()
    assert random.random() == wanted
    logging.getLogger("nni.compression").warning("something")
    assert capsys.readouterr().out == ""

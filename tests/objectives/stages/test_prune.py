from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.stages.prune import (
    MAX_RATIO,
    ROUND_TO,
    cumulative_ratio,
    parameter_count,
    prune,
    widths,
)
from greenfront.spaces.architectures.blocks import block
from greenfront.spaces.techniques.pruning import Pruning

EXAMPLE = torch.zeros(2, 12)


def mlp(*hidden: int) -> nn.Sequential:
    torch.manual_seed(0)
    sizes = [12, *hidden]
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, hidden, strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 3))


def first(model: nn.Sequential) -> nn.Linear:
    layer = model[0]
    assert isinstance(layer, nn.Linear)
    return layer


def widths_of(model: nn.Sequential) -> list[int]:
    return [layer.out_features for layer in model if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize(
    ("ratio", "left"),
    [
        (0.05, [12, 28, 92]),
        (0.25, [12, 24, 72]),
        (0.5, [8, 16, 48]),
        (0.8, [4, 4, 20]),  # a narrow layer keeps a few channels, it is not left out
        (0.99, [4, 4, 4]),
    ],
)
def test_channels_are_left_in_multiples(ratio: float, left: list[int]) -> None:
    model = mlp(16, 32, 100)
    prune(model, EXAMPLE, ratio, model[-1])
    assert widths_of(model) == [*left, 3]
    assert all(width % ROUND_TO == 0 for width in left)


def test_the_share_removed_is_what_was_achieved() -> None:
    model = mlp(16)
    assert parameter_count(model) == 16 * 13 + 3 * 17 == 259
    removed = prune(model, EXAMPLE, 0.5, model[-1])
    assert parameter_count(model) == 8 * 13 + 3 * 9 == 131
    assert removed == pytest.approx(1 - 131 / 259)


def test_the_weakest_channels_go() -> None:
    model = mlp(16)
    strong = torch.arange(16) % 2 == 1
    with torch.no_grad():
        for weight in first(model).parameters():
            weight[~strong] *= 1e-3
    kept = first(model).weight[strong].clone()
    prune(model, EXAMPLE, 0.5, model[-1])
    assert torch.equal(first(model).weight, kept)


def test_channels_without_any_weight_are_not_missed() -> None:
    model = mlp(16)
    inputs = torch.randn(5, 12)
    with torch.no_grad():
        for weight in first(model).parameters():
            weight[::2] = 0
    before = model(inputs)
    prune(model, inputs, 0.5, model[-1])
    torch.testing.assert_close(model(inputs), before)


def test_what_cannot_be_pruned_is_told() -> None:
    model = mlp(4)
    with pytest.raises(TrialFailed, match=r"a pruning ratio of 0\.5 removes nothing") as failure:
        prune(model, EXAMPLE, 0.5, model[-1])
    assert failure.value.cause == "cannot prune"
    assert widths_of(model) == [4, 3]


def test_skips_and_depthwise_filters_agree_after_pruning() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        block("standard", 3, 16, 3, 1, 1),
        block("inverted", 16, 16, 3, 1, 2),  # with a skip
        block("separable", 16, 32, 3, 1, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 3),
    )
    inputs = torch.randn(2, 3, 8, 8)
    removed = prune(model, inputs, 0.5, model[-1])
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [8, 16, 16, 8, 8, 16]
    assert [m.groups for m in convolutions] == [1, 1, 16, 1, 8, 1]
    assert removed > 0.5
    assert model(inputs).shape == (2, 3)


# --- attention ------------------------------------------------------------------------------


class Attention(nn.Module):
    """One block with the names of timm (``fused``) or of transformers' BERT."""

    def __init__(self, width: int, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.head_dim = width // heads
        self.fused = fused
        if fused:
            self.num_heads, self.attn_dim = heads, width
            self.qkv = nn.Linear(width, 3 * width)
        else:
            self.num_attention_heads, self.all_head_size = heads, width
            self.query = nn.Linear(width, width)
            self.key = nn.Linear(width, width)
            self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, inputs: Tensor) -> Tensor:
        n, length, _ = inputs.shape
        if self.fused:
            joint = self.qkv(inputs).reshape(n, length, 3, self.num_heads, self.head_dim)
            q, k, v = joint.permute(2, 0, 3, 1, 4).unbind(0)
            width = self.attn_dim
        else:
            shape = (n, length, self.num_attention_heads, self.head_dim)
            q, k, v = (
                part(inputs).view(shape).transpose(1, 2)
                for part in (self.query, self.key, self.value)
            )
            width = self.all_head_size
        seen = functional.scaled_dot_product_attention(q, k, v)
        return inputs + self.proj(seen.transpose(1, 2).reshape(n, length, width))


class Attending(nn.Module):
    def __init__(self, width: int, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(5, width)
        self.block = Attention(width, heads, fused=fused)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.norm(self.block(self.embed(inputs))).mean(1))


SEQUENCE = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(
    ("ratio", "heads", "width"), [(0.25, 3, 24), (0.5, 2, 16), (0.75, 1, 8), (0.95, 1, 4)]
)
def test_heads_go_as_a_whole(fused: bool, ratio: float, heads: int, width: int) -> None:
    torch.manual_seed(0)
    model = Attending(32, 4, fused=fused)
    prune(model, SEQUENCE, ratio, model.head)
    block = model.block
    first = block.qkv if fused else block.query
    told = (block.num_heads, block.attn_dim) if fused else (block.num_attention_heads, None)
    assert told[0] == heads
    assert (block.attn_dim if fused else block.all_head_size) == 8 * heads
    assert first.weight.shape == (8 * heads * (3 if fused else 1), width)
    assert block.proj.weight.shape == (width, 8 * heads)
    assert model.norm.normalized_shape == (width,)
    assert model(SEQUENCE).shape == (2, 3)


@pytest.mark.parametrize("fused", [True, False])
def test_a_head_that_does_nothing_is_the_one_that_goes(fused: bool) -> None:
    torch.manual_seed(0)
    model = Attending(ROUND_TO, 2, fused=fused)  # so narrow that heads alone can go
    idle = slice(0, ROUND_TO // 2)
    layers = [model.block.qkv] if fused else [model.block.query, model.block.key, model.block.value]
    with torch.no_grad():
        for layer in layers:
            for start in range(0, layer.out_features, ROUND_TO):
                layer.weight[start : start + ROUND_TO][idle] *= 1e-3
        model.block.proj.weight[:, idle] = 0
    before = model(SEQUENCE)
    prune(model, SEQUENCE, 0.5, model.head)
    assert model.block.proj.weight.shape == (ROUND_TO, ROUND_TO // 2)
    torch.testing.assert_close(model(SEQUENCE), before)


# --- scope, importance, gradual steps -------------------------------------------------------


def test_the_uniform_scope_takes_the_same_of_every_layer() -> None:
    model = mlp(40, 40)
    prune(model, EXAMPLE, Pruning(0.5), model[-1])
    assert widths_of(model) == [20, 20, 3]


def test_the_global_scope_takes_most_where_least_is_lost() -> None:
    model = mlp(40, 40)
    layer = model[2]
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight[:4] *= 30  # a few channels tower over the rest of their layer
    prune(model, EXAMPLE, Pruning(0.5, scope="global"), model[-1])
    assert widths_of(model) == [36, 4, 3]


@pytest.mark.parametrize("ratio", [0.9, 0.99])
def test_the_global_scope_empties_no_layer(ratio: float) -> None:
    model = mlp(200, 200)
    layer = model[2]
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight[:8] *= 1e4  # makes the rest of its layer worthless
    prune(model, EXAMPLE, Pruning(ratio, scope="global"), model[-1])
    assert min(widths_of(model)[:2]) >= max(ROUND_TO, 200 * (1 - MAX_RATIO) - ROUND_TO)
    assert model(EXAMPLE).shape == (2, 3)


def test_taylor_weighs_by_the_gradient() -> None:
    model = mlp(16)
    head = model[-1]
    assert isinstance(head, nn.Linear)
    inputs = torch.randn(20, 12)
    with torch.no_grad():
        first(model).bias.fill_(5.0)  # all channels let gradients through
        head.weight[:, ::2] *= 1e-4  # large weights that reach no output
        first(model).weight[::2] *= 10
    kept = first(model).weight[1::2].clone()

    def loss(network: nn.Module, number: int) -> Tensor:
        return network(inputs[number::4]).square().mean()

    prune(model, EXAMPLE, Pruning(0.5, importance="taylor"), head, loss=loss)
    assert torch.equal(first(model).weight, kept)
    assert all(weight.grad is None for weight in model.parameters())


def test_taylor_needs_a_loss() -> None:
    model = mlp(16)
    with pytest.raises(UsageError, match="'taylor' weighs by gradients"):
        prune(model, EXAMPLE, Pruning(0.5, importance="taylor"), model[-1])
    assert widths_of(model) == [16, 3]


def test_fpgm_takes_channels_that_others_can_stand_in_for() -> None:
    model = mlp(16)
    with torch.no_grad():
        first(model).weight[::2] = 3.0  # strong, and all the same
    kept = first(model).weight[1::2].clone()
    prune(model, EXAMPLE, Pruning(0.5, importance="fpgm"), model[-1])
    assert not any(torch.equal(row, torch.full_like(row, 3.0)) for row in kept)
    left = first(model).weight
    assert sum(bool((row == 3.0).all()) for row in left) == 0


def test_fpgm_judges_layers_that_end_in_one_sum_together() -> None:
    torch.manual_seed(0)
    model = Attending(16, 2, fused=True)
    crowded = torch.arange(16) % 2 == 0
    with torch.no_grad():
        for layer in (model.embed, model.block.proj):
            layer.weight[crowded] = layer.weight.mean(0)
    kept = model.embed.weight[~crowded].clone()
    prune(model, SEQUENCE, Pruning(0.5, importance="fpgm"), model.head)
    assert torch.equal(model.embed.weight, kept)


def test_random_pruning_follows_the_seed() -> None:
    def pruned(seed: int) -> Tensor:
        model = mlp(64)
        torch.manual_seed(seed)
        prune(model, EXAMPLE, Pruning(0.5, importance="random"), model[-1])
        return first(model).weight

    assert torch.equal(pruned(1), pruned(1))
    assert not torch.equal(pruned(1), pruned(2))


@pytest.mark.parametrize(
    ("pruning", "message"),
    [
        (Pruning(0.5, scope="local"), "scope 'local' is unknown: take 'uniform' or 'global'"),
        (Pruning(0.5, importance="luck"), "importance 'luck' is unknown: take one of 'magnitude'"),
    ],
)
def test_unknown_ways_are_refused(pruning: Pruning, message: str) -> None:
    model = mlp(16)
    with pytest.raises(UsageError, match=message):
        prune(model, EXAMPLE, pruning, model[-1])


def test_the_schedule_is_cubic() -> None:
    ratios = [cumulative_ratio(0.8, step, 4) for step in range(5)]
    assert ratios == pytest.approx([0, 0.8 * 37 / 64, 0.8 * 56 / 64, 0.8 * 63 / 64, 0.8])


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("steps", [2, 5])
def test_gradual_steps_end_where_a_single_one_does(ratio: float, steps: int) -> None:
    at_once, gradual = Attending(32, 4, fused=True), Attending(32, 4, fused=True)
    total = parameter_count(gradual)
    removed = prune(at_once, SEQUENCE, ratio, at_once.head)
    original = widths(gradual)
    for step in range(1, steps + 1):
        now = Pruning(cumulative_ratio(ratio, step, steps))
        prune(gradual, SEQUENCE, now, gradual.head, original=original)
    assert str(gradual) == str(at_once)
    assert 1 - parameter_count(gradual) / total == pytest.approx(removed)


def test_a_gradual_step_may_remove_nothing() -> None:
    model = mlp(16)
    assert prune(model, EXAMPLE, 0.0, model[-1], original=widths(model)) == 0


# --- groups ---------------------------------------------------------------------------------


@pytest.mark.parametrize("importance", ["magnitude", "fpgm", "random", "taylor"])
def test_groups_of_a_convolution_stay_equal(importance: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3),
        nn.BatchNorm2d(32),
        nn.Conv2d(32, 32, 3, groups=4),
        nn.GroupNorm(4, 32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 3),
    )
    inputs = torch.randn(2, 3, 8, 8)

    def loss(network: nn.Module, _: int) -> Tensor:
        return network(inputs).square().mean()

    prune(model, inputs, Pruning(0.5, importance=importance), model[-1], loss=loss)
    grouped = model[2]
    assert isinstance(grouped, nn.Conv2d)
    assert (grouped.groups, grouped.in_channels, grouped.out_channels) == (4, 16, 16)
    assert grouped.weight.shape == (16, 4, 3, 3)
    assert model(inputs).shape == (2, 3)


class Folded(nn.Module):
    """Depends on a width in a way that no graph of layers tells."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(12, 48), nn.Linear(16, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.body(inputs).view(-1, 3, 16).mean(1))


def test_layers_that_cannot_be_narrowed_are_told() -> None:
    model = Folded()
    with pytest.raises(TrialFailed, match="cannot be narrowed together") as failure:
        prune(model, EXAMPLE, 0.5, model.head)
    assert failure.value.cause == "cannot prune"

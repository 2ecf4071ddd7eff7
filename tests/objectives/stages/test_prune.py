from __future__ import annotations

import pytest
import torch
from torch import nn

from greenfront.errors import TrialFailed
from greenfront.objectives.stages.prune import ROUND_TO, parameter_count, prune, reshape_to
from greenfront.spaces.architectures.blocks import block

EXAMPLE = torch.zeros(2, 12)


def mlp(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    sizes = [12, *widths]
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, widths, strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 3))


def first(model: nn.Sequential) -> nn.Linear:
    layer = model[0]
    assert isinstance(layer, nn.Linear)
    return layer


def widths(model: nn.Sequential) -> list[int]:
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
    assert widths(model) == [*left, 3]
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
    assert widths(model) == [4, 3]


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


def test_weights_of_the_same_shape_are_only_loaded() -> None:
    model, other = mlp(16), mlp(16)
    parameters = list(model.parameters())
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(1)
    reshape_to(model, other.state_dict())
    for weight, same, wanted in zip(
        model.parameters(), parameters, other.parameters(), strict=True
    ):
        assert weight is same
        assert torch.equal(weight, wanted)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(KeyError, match=r"2\.weight"):
        reshape_to(mlp(16), {"0.weight": torch.zeros(8, 12), "0.bias": torch.zeros(8)})

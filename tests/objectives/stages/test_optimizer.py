from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from greenfront.errors import TrialFailed
from greenfront.objectives.stages.optimizer import build_optimizer, rate_shares, warm_cosine
from greenfront.spaces.techniques.training import Training


class Network(nn.Module):
    """Stem, two blocks, a norm that belongs to none of them, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 2)

    @property
    def blocks(self) -> tuple[nn.Module, ...]:
        return self.stem, self.first, self.second


def shares_of(network: Network, **settings: float) -> dict[str, float]:
    shares = rate_shares(network, head=network.head, blocks=network.blocks, **settings)
    names = {parameter: name for name, parameter in network.named_parameters()}
    return {names[parameter].removesuffix(".weight"): share for parameter, share in shares.items()}


def test_rates_shrink_with_the_distance_from_the_head() -> None:
    shares = shares_of(Network(), body_rate=0.5, layer_decay=0.8)
    assert shares["head"] == shares["head.bias"] == 1
    assert shares["norm"] == 0.5
    assert shares["second"] == shares["second.bias"] == pytest.approx(0.5 * 0.8)
    assert shares["first"] == pytest.approx(0.5 * 0.8**2)
    assert shares["stem"] == pytest.approx(0.5 * 0.8**3)


def test_a_decay_of_one_is_one_rate_for_the_body() -> None:
    network = Network()
    assert set(shares_of(network, body_rate=0.1).values()) == {1.0, 0.1}
    plain = rate_shares(network, head=network.head, body_rate=0.1)
    assert plain == rate_shares(
        network, head=network.head, body_rate=0.1, blocks=network.blocks, layer_decay=1.0
    )
    assert set(rate_shares(network).values()) == {1.0}


def test_weights_without_gradient_have_no_rate() -> None:
    network = Network()
    network.stem.requires_grad_(False)
    assert {name.partition(".")[0] for name in shares_of(network)} == {
        "first",
        "second",
        "norm",
        "head",
    }


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_every_weight_gets_its_rate(name: str) -> None:
    network, extra = Network(), nn.Parameter(torch.zeros(3))
    shares = rate_shares(network, head=network.head, blocks=network.blocks, layer_decay=0.5)
    made = build_optimizer(Training(optimizer=name, learning_rate=0.04), shares, [extra])
    rates = {weight: group["lr"] for group in made.param_groups for weight in group["params"]}
    assert rates.keys() == {*network.parameters(), extra}
    assert rates[network.stem.weight] == pytest.approx(0.04 / 8)
    assert rates[network.first.bias] == pytest.approx(0.04 / 4)
    assert rates[network.norm.weight] == rates[network.head.bias] == rates[extra] == 0.04
    assert sum(len(group["params"]) for group in made.param_groups) == len(rates)


def test_an_unknown_optimizer_is_told() -> None:
    with pytest.raises(TrialFailed, match="'adam' is unknown: take 'adamw' or 'sgd'"):
        build_optimizer(Training(optimizer="adam"), rate_shares(Network()))


def test_the_rate_warms_up_and_falls_like_a_cosine() -> None:
    factor = warm_cosine(100)
    assert [factor(step) for step in range(5)] == pytest.approx([k / 6 for k in range(1, 6)])
    assert factor(5) == 1
    assert factor(5 + 19) == pytest.approx((1 + math.cos(math.pi / 5)) / 2)
    assert factor(100) == pytest.approx(0)
    assert warm_cosine(1)(0) == 0.5


@pytest.mark.parametrize(
    ("name", "published", "settings"),
    [
        ("adamw", torch.optim.AdamW, {"weight_decay": 1e-2}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}),
    ],
)
def test_steps_are_those_of_torch_to_the_last_bit(
    name: str, published: type[torch.optim.Optimizer], settings: dict[str, Any]
) -> None:
    ours = Network()
    theirs = copy.deepcopy(ours)
    training = Training(optimizer=name, learning_rate=0.05)
    movers = {
        ours: build_optimizer(training, rate_shares(ours)),
        theirs: published(theirs.parameters(), lr=0.05, **settings),
    }
    for network, mover in movers.items():
        schedule = torch.optim.lr_scheduler.LambdaLR(mover, warm_cosine(5))
        for step in range(5):
            mover.zero_grad(set_to_none=True)
            inputs = torch.full((2, 4), float(step))
            loss = network.head(network.norm(network.first(network.stem(inputs)))).square().mean()
            loss.backward()  # type: ignore[no-untyped-call]
            mover.step()
            schedule.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.requires_grad
        assert torch.equal(mine, other)

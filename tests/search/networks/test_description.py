from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from greenfront.objectives.tasks.task import TaskFacts
from greenfront.search.networks.description import network_description
from greenfront.search.samplers.green.encode import knob_vector
from greenfront.spaces.architectures.registry import network
from greenfront.spaces.knobs import Value
from greenfront.spaces.network_space import network_space
from greenfront.spaces.options import NetworkOptions
from greenfront.spaces.techniques.technique import Scope

CASES: list[tuple[str, tuple[int, ...], dict[str, Value]]] = [
    ("mlp", (1, 8, 8), {}),
    ("mlp", (20,), {"depth": 3, "width_3": 128}),
    ("tabular", (20,), {}),
    ("tabular", (7,), {"depth": 1}),
    ("cnn", (1, 28, 28), {}),
    ("cnn", (3, 16, 16), {"block": "separable", "depth": 4}),
    ("cnn", (3, 16, 16), {"block": "inverted", "expansion": 4, "kernel": 5}),
    ("lenet", (1, 28, 28), {}),
    ("lenet", (3, 32, 32), {"kernel": 3}),
    ("lenet", (1, 28, 28), {"stride": 2}),
    ("lenet", (3, 30, 20), {"stride": 3}),
]


@pytest.mark.parametrize(
    ("family", "inputs", "changes"), CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)]
)
def test_an_extent_is_that_of_the_network(
    family: str, inputs: tuple[int, ...], changes: dict[str, Value]
) -> None:
    shape = {**network(family).baseline(), **changes}
    extent = network(family).extent(shape, inputs, 10)
    module = network(family).build(shape, inputs, 10)
    matrices = [layer for layer in module.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    assert extent is not None
    assert extent.weights == sum(layer.weight.numel() for layer in matrices)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(torch.zeros(1, *inputs))
    # Two operations a multiply-add.
    assert extent.products == pytest.approx(counter.get_total_flops() / 2, rel=0.02)


def test_networks_of_all_families_are_told_by_the_same_numbers() -> None:
    scope = Scope(
        families=("mlp", "cnn"),
        device="cpu",
        mixed_precision=False,
        int8_pays=frozenset(),
        task="toy",
        inputs="images",
        examples=1000,
        defaults=3,
        regression=False,
        found={},
    )
    space = network_space(NetworkOptions(scope))
    facts = TaskFacts("toy", (1, 8, 8), tuple("0123456789"), {"train": 1000}, 0.1, "f")
    describe = network_description(space, facts)
    common: dict[str, Value] = {
        knob.name: knob.values()[0]
        for knob in space.knobs
        if not knob.when and "." not in knob.name
    }
    plain = {"bits": 32, "pruning": 0.0}
    mlp = {**common, **plain, "architecture": "mlp", "mlp.depth": 1, "mlp.width_1": 64}

    def told(point: dict[str, Value]) -> tuple[float, ...]:
        return describe(space.decode(point), knob_vector(space, point))

    small, large = told(mlp), told({**mlp, "mlp.width_1": 256})
    assert len(small) == len(large)
    differing = [
        index for index, pair in enumerate(zip(small, large, strict=True)) if pair[0] != pair[1]
    ]
    assert differing == [len(small) - 3, len(small) - 2, len(small) - 1]
    assert large[-3] - small[-3] == pytest.approx(math.log10(4) / 3, abs=0.01)
    assert small[-1] - small[-3] == pytest.approx(math.log10(4) / 3)  # four bytes a weight

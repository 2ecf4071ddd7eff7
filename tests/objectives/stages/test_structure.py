from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from greenfront.objectives.stages.prune import prune
from greenfront.objectives.stages.structure import (
    load_network,
    restructure,
    save_network,
    structure_of,
)

INPUTS = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, groups=32, bias=False),  # depthwise
        nn.GroupNorm(4, 32),
        nn.Conv2d(32, 32, 3, groups=4, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(32),
        nn.Linear(32, 24),
        nn.PReLU(24),
        nn.Linear(24, 3),
    )


def pruned() -> nn.Sequential:
    model = network()
    model(INPUTS)  # moves the statistics
    prune(model, INPUTS, 0.5, model[-1])
    return model


def test_a_pruned_network_comes_back_to_the_bit() -> None:
    model, fresh = pruned(), network(seed=9)
    structure = json.loads(json.dumps(structure_of(model)))
    restructure(fresh, structure, model.state_dict())
    fresh.eval()
    assert str(fresh) == str(model) != str(network())
    assert torch.equal(fresh(INPUTS), model(INPUTS))
    assert structure_of(fresh) == structure_of(model)
    assert all(weight.requires_grad for weight in fresh.parameters())


def test_what_shapes_do_not_tell_is_stored() -> None:
    structure = structure_of(pruned())
    assert structure["3"]["groups"] == 16
    assert structure["4"]["num_groups"] == 4
    assert structure["4"]["num_channels"] == 16
    assert structure["5"]["groups"] == 4
    assert structure["8"]["normalized_shape"] == [16]


def test_the_file_brings_it_back(tmp_path: Path) -> None:
    model, fresh = pruned(), network(seed=9)
    save_network(model, tmp_path / "network.safetensors")
    load_network(fresh, tmp_path / "network.safetensors")
    fresh.eval()
    assert str(fresh) == str(model)
    assert torch.equal(fresh(INPUTS), model(INPUTS))


class Tied(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.second.weight = self.first.weight
        self.register_buffer("scratch", torch.zeros(width), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.second(self.first(inputs))


def test_shared_weights_stay_shared(tmp_path: Path) -> None:
    model, fresh = Tied(4), Tied(8)
    save_network(model, tmp_path / "tied.safetensors")
    load_network(fresh, tmp_path / "tied.safetensors")
    assert fresh.first.weight is fresh.second.weight
    inputs = torch.randn(2, 4)
    assert torch.equal(fresh(inputs), model(inputs))


def test_another_network_is_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(KeyError):
        restructure(model, structure_of(network()), network().state_dict())
    with pytest.raises(KeyError, match=r"0\.groups"):
        restructure(model, {"0": {"groups": 2}}, model.state_dict())
    with pytest.raises(RuntimeError, match="extra"):
        restructure(model, structure_of(model), {**model.state_dict(), "extra": torch.zeros(1)})

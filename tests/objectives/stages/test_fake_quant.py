from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from greenfront.errors import UsageError
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, OUTPUT, to_onnx
from greenfront.objectives.stages.fake_quant import fake_quantized, grid, grid_steps
from greenfront.objectives.stages.quantize import quantize_weights

BITS = (8, 4, 2)
IDS = torch.randint(0, 40, (6, 9), generator=torch.Generator().manual_seed(0))
IMAGES = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix, self.head = nn.Embedding(40, 16), nn.Linear(16, 32), nn.Linear(32, 12)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(functional.gelu(self.mix(self.table(ids))).mean(1))


def words() -> nn.Module:
    torch.manual_seed(0)
    return Words()


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, groups=2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 16, 5),
    )
    with torch.no_grad():  # of either sign, as training may leave them
        model[1].weight.uniform_(-1, 1)
    model(IMAGES)
    return model.eval()


@pytest.mark.parametrize(
    ("bits", "narrow", "steps"), [(8, False, 127), (8, True, 64), (4, True, 7), (2, False, 1)]
)
def test_steps_either_side(bits: int, narrow: bool, steps: int) -> None:
    assert grid_steps(bits, reduce_range=narrow) == steps


@pytest.mark.parametrize("bits", [1, 16, 32])
def test_there_are_no_other_grids(bits: int) -> None:
    with (
        pytest.raises(UsageError, match=f"rounded to 2 to 8 bits, not to {bits}"),
        fake_quantized(nn.Linear(32, 32), bits),
    ):
        pass


@pytest.mark.parametrize("axis", [0, 1])
def test_the_largest_weight_is_on_the_last_step(axis: int) -> None:
    weight = torch.randn(6, 10)
    width = grid(weight, 7, axis)
    assert width.shape == ((6, 1) if axis == 0 else (1, 10))
    assert torch.equal(width, weight.abs().amax(1 - axis, keepdim=True) / 7)


def test_a_ternary_grid_follows_the_weights_that_are_not_small() -> None:
    weight = torch.tensor([[0.1, -0.1, 1.0, -3.0], [0.0, 0.0, 0.0, 0.0]])
    width = grid(weight, 1)
    assert width[0].item() == pytest.approx(2.0)
    assert 0 < width[1].item() < 1e-30  # zeros stay zeros


@pytest.mark.parametrize("steps", [127, 64, 7, 1])
def test_what_is_on_its_grid_stays_there(steps: int) -> None:
    weight = torch.randn(50, 40)
    width = grid(weight, steps)
    rounded = (weight / width).round().clamp(-steps, steps) * width
    torch.testing.assert_close(grid(rounded, steps), width)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(("build", "inputs"), [(words, IDS), (convolutions, IMAGES)])
def test_the_packed_file_answers_like_the_tuned_module(
    build: type, inputs: Tensor, bits: int, tmp_path: Path
) -> None:
    model = build()
    before = model(inputs)
    with fake_quantized(model, bits):
        inside = model(inputs)
    baked = model(inputs)
    assert torch.equal(inside, baked)
    assert not torch.equal(baked, before)
    to_onnx(model, inputs[:1], tmp_path / "32.onnx")
    quantize_weights(tmp_path / "32.onnx", tmp_path / "packed.onnx", bits)
    session = open_artefact(tmp_path / "packed.onnx", threads=1)
    (given,) = session.run([OUTPUT], {INPUT: inputs.numpy()})
    np.testing.assert_allclose(given, baked.detach().numpy(), atol=1e-5, rtol=1e-5)


def test_the_network_is_an_ordinary_one_afterwards() -> None:
    model, other = words(), words()
    with fake_quantized(model, 4):
        assert any("original" in name for name in model.state_dict())
    assert str(model) == str(other)
    assert model.state_dict().keys() == other.state_dict().keys()
    assert len(model.mix.weight[0].unique()) <= 15
    assert all(weight.requires_grad for weight in model.parameters())


def test_small_tensors_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(15, 17), nn.Linear(17, 16))
    before = model[0].weight.clone()
    with fake_quantized(model, 2):
        pass
    assert torch.equal(model[0].weight, before)
    assert len(model[1].weight[0].unique()) <= 3


def test_gradients_pass_straight_through() -> None:
    layer = nn.Linear(32, 32)
    inputs = torch.randn(4, 32)
    with fake_quantized(layer, 2):
        layer(inputs).sum().backward()
        original = layer.parametrizations.weight.original
        assert torch.equal(original.grad, inputs.sum(0).expand(32, 32))


def test_tuning_makes_up_for_coarse_weights() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(256, 32)
    labels = (inputs @ torch.randn(32, 4)).argmax(1)

    def loss(model: nn.Module) -> Tensor:
        return functional.cross_entropy(model(inputs), labels)

    def fit(model: nn.Module) -> None:
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()

    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 4))
    fit(model)
    rounded = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 4))
    rounded.load_state_dict(model.state_dict())
    with fake_quantized(rounded, 2):
        pass
    with fake_quantized(model, 2):
        fit(model)
    with torch.no_grad():
        assert float(loss(model)) < 0.5 * float(loss(rounded))


def test_a_failure_inside_leaves_an_ordinary_network() -> None:
    model = words()
    with pytest.raises(RuntimeError, match="stop"), fake_quantized(model, 4):
        raise RuntimeError("stop")
    assert model.state_dict().keys() == words().state_dict().keys()

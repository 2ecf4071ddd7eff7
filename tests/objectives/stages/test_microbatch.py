from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from greenfront.objectives.stages import microbatch as activations
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.microbatch import kept_bytes, parts_of_batch
from greenfront.objectives.stages.train import EpochReport, FitOptions, train
from greenfront.spaces.techniques.training import Training

NUMBER = 4  # bytes


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(8 * 64, 4),
    )  # fmt: skip


@pytest.fixture
def a_kibibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "BUDGET_BYTES", 2**10)


def test_what_is_kept_is_the_inputs_of_each_layer() -> None:
    model = nn.Sequential(nn.Linear(6, 10), nn.Sigmoid(), nn.Linear(10, 20), nn.Sigmoid())
    assert kept_bytes(model, torch.randn(3, 6)) == 3 * (6 + 10 + 20) * NUMBER


def test_weights_and_what_is_kept_twice_do_not_count() -> None:
    layer = nn.Linear(6, 6)
    once = kept_bytes(nn.Sequential(layer, nn.Tanh()), torch.randn(2, 6))
    assert once == 2 * (6 + 6) * NUMBER  # the hyperbolic tangent keeps what it gives


def test_it_grows_with_the_examples() -> None:
    model, images = network(), torch.randn(8, 3, 8, 8)
    two, four, eight = (kept_bytes(model, images[:count]) for count in (2, 4, 8))
    assert eight - four == 2 * (four - two) > 0  # beside them, what normalisation keeps for all


def test_trying_leaves_no_trace() -> None:
    model, images = network(), torch.randn(2, 3, 8, 8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    kept_bytes(model, images)
    assert torch.equal(state, torch.random.get_rng_state())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(weight.grad is None for weight in model.parameters())


def test_a_small_network_takes_a_batch_as_a_whole() -> None:
    assert parts_of_batch(network(), torch.randn(2, 3, 8, 8), 256) == 1


@pytest.mark.usefixtures("a_kibibyte")
def test_parts_are_not_so_small_that_normalisation_suffers() -> None:
    assert parts_of_batch(network(), torch.randn(2, 3, 8, 8), 32) == 4
    assert parts_of_batch(network(), torch.randn(2, 3, 8, 8), 4) == 1


@pytest.mark.usefixtures("a_kibibyte")
@pytest.mark.parametrize(
    ("count", "batch", "at_once"), [(12, 128, 128), (20, 128, 64), (130, 64, 13)]
)
def test_batches_that_are_not_full_have_fewer_parts(count: int, batch: int, at_once: int) -> None:
    examples = Examples(torch.randn(count, 3, 8, 8), torch.arange(count) % 4)
    model, least = network(), []
    model.register_forward_pre_hook(lambda _, inputs: least.append(len(inputs[0])))
    reports: list[EpochReport] = []
    training = replace(Training(), epochs=1, batch_size=batch)
    data = TrainingData(examples, examples)
    train(model, data, training, seed=0, options=FitOptions(on_epoch=reports.append))
    shown, *learnt = least[: -math.ceil(count / 32)]
    assert shown == 2
    assert sum(learnt) == count
    assert min(learnt) >= 8
    assert reports[0].at_once == at_once


@pytest.mark.usefixtures("a_kibibyte")
def test_training_says_how_many_it_takes_at_once() -> None:
    examples = Examples(torch.randn(64, 3, 8, 8), torch.arange(64) % 4)
    reports: list[EpochReport] = []
    training = replace(Training(), epochs=1, batch_size=32)
    data = TrainingData(examples, examples)
    train(network(), data, training, seed=0, options=FitOptions(on_epoch=reports.append))
    assert [report.at_once for report in reports] == [8]

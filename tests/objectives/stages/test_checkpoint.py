from __future__ import annotations

import copy
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from greenfront.objectives.stages.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from greenfront.objectives.stages.distil import TeacherOutputs
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.seeding import seed_generators
from greenfront.objectives.stages.train import FitOptions, train
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.training import Training

EPOCHS = 6
PLAIN = Training(epochs=EPOCHS, batch_size=16, patience=0)


class Noisy(nn.Module):
    """Draws from every global generator in training, as networks of others may."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(12, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.head(self.body(inputs))
        if self.training:
            found = found * (1 + 0.1 * random.random() + 0.1 * float(np.random.random()))
        return found


def data(seed: int = 0) -> TrainingData:
    draw = torch.Generator().manual_seed(seed)

    def split(count: int) -> Examples:
        inputs = torch.randn(count, 5, generator=draw)
        labels = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()
        return Examples(inputs, labels)

    return TrainingData(split(90), split(40))


def network() -> Noisy:
    seed_generators(3)
    return Noisy()


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def in_parts(
    training: Training, stops: list[int | None], folder: Path, options: FitOptions
) -> tuple[Noisy, Checkpoint]:
    """Each part in a fresh network, as another process would have it."""
    since: Checkpoint | None = None
    for part, until in enumerate(stops):
        model = network()
        if since is not None:  # whatever the process did in between
            seed_generators(99 + part)
            torch.rand(7)
        head = replace(options, head=model.head) if options.lessons else options
        left = train(model, data(), training, 5, head, until=until, since=since)
        save_checkpoint(left, folder / f"{part}.safetensors")
        since = load_checkpoint(folder / f"{part}.safetensors", "cpu")
    assert since is not None
    return model, since


LESSONS = TeacherOutputs(torch.randn(90, 3, generator=torch.Generator().manual_seed(1)))
WITH_FEATURES = replace(
    LESSONS, features=torch.randn(90, 7, generator=torch.Generator().manual_seed(2))
)


@pytest.mark.parametrize(
    ("training", "options"),
    [
        pytest.param(PLAIN, FitOptions(), id="adamw"),
        pytest.param(
            replace(PLAIN, optimizer="sgd", learning_rate=0.05, mixup=0.4),
            FitOptions(),
            id="sgd-mixup",
        ),
        pytest.param(
            replace(PLAIN, average_weights=True, label_smoothing=0.1), FitOptions(), id="averaged"
        ),
        pytest.param(replace(PLAIN, patience=1, learning_rate=0.3), FitOptions(), id="patience"),
        pytest.param(
            PLAIN,
            FitOptions(
                distillation=Distillation(temperature=2.0, weight=0.5, hidden_weight=1.0),
                lessons=WITH_FEATURES,
            ),
            id="distilled-features",
        ),
    ],
)
def test_a_training_in_parts_equals_one_in_one_go(
    training: Training, options: FitOptions, tmp_path: Path
) -> None:
    whole = network()
    if options.lessons:
        options = replace(options, head=whole.head)
    best = train(whole, data(), training, 5, options).reached.best_epoch
    drawn = torch.rand(3)
    parts, left = in_parts(training, [1, 2, 4, None], tmp_path, options)
    assert left.reached.over
    assert left.reached.best_epoch == best
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(parts)[name]), name
    if not training.patience:
        assert torch.equal(torch.rand(3), drawn)  # and the generators stand where they stood


def test_a_part_leaves_the_best_weights_so_far(tmp_path: Path) -> None:
    short, left = in_parts(PLAIN, [2], tmp_path, FitOptions())
    assert (left.reached.epoch, left.reached.over) == (2, False)
    assert 1 <= left.reached.best_epoch <= 2
    for name, value in left.best.items():
        assert torch.equal(value, weights(short)[name])
    # The schedule is that of the whole training: a training of two epochs is another one.
    other = network()
    train(other, data(), replace(PLAIN, epochs=2), 5)
    assert any(not torch.equal(v, weights(other)[n]) for n, v in weights(short).items())


def test_what_is_over_is_trained_no_further(tmp_path: Path) -> None:
    _, left = in_parts(PLAIN, [None], tmp_path, FitOptions())
    model, before = network(), copy.deepcopy(left)
    again = train(model, data(), PLAIN, 5, since=left)
    assert again.reached == before.reached
    assert all(torch.equal(v, weights(model)[n]) for n, v in before.best.items())


def test_going_on_imports_no_compiler(tmp_path: Path) -> None:
    before = "torch._dynamo" in sys.modules
    in_parts(PLAIN, [2, None], tmp_path, FitOptions())
    assert ("torch._dynamo" in sys.modules) == before

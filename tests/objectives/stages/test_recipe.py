"""What training does to examples, labels and weights besides the steps of the optimiser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.loss import PLAIN, Loss
from greenfront.objectives.stages.predict import predict
from greenfront.objectives.stages.train import FitOptions, train
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.architectures.mlp import MLP
from greenfront.spaces.techniques.training import Training

CLASSES = 10
QUICK = Training(learning_rate=5e-3, epochs=3, patience=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    cache = tmp_path_factory.mktemp("cache")
    return TrainingData.of(load_task(TaskSettings(kind="digits"), cache=Path(cache), seed=7), "cpu")


def network() -> nn.Module:
    torch.manual_seed(0)
    return MLP().build({"depth": 1, "width_1": 32}, (1, 8, 8), CLASSES)


def accuracy(model: nn.Module, examples: Examples) -> float:
    return float((predict(model, examples.inputs).argmax(-1) == examples.labels).float().mean())


def told(training: Training, data: TrainingData) -> FitOptions:
    return FitOptions(loss=Loss.of(training, data.train.labels, CLASSES))


def weights(model: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


@pytest.mark.parametrize(
    "change",
    [{"augmentation": "affine"}, {"mixup": 0.4}, {"label_smoothing": 0.2}, {"average_weights": 1}],
)
def test_each_part_of_a_recipe_changes_the_weights_as_the_seed_says(
    data: TrainingData, change: dict[str, Any]
) -> None:
    trained: list[Tensor] = []
    for training in (replace(QUICK, epochs=2, **change), replace(QUICK, epochs=2)):
        for _ in range(2):
            model = network()
            train(model, data, training, seed=3, options=told(training, data))
            trained.append(weights(model))
            assert accuracy(model, data.validation) > 0.5
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])


def test_mixed_inputs_lie_between_examples(data: TrainingData) -> None:
    model, seen = network(), list[Tensor]()
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    train(model, data, replace(QUICK, epochs=1, mixup=5.0), seed=4)
    count, pixels = len(data.train), data.train.inputs
    shown = torch.cat(seen[1:])  # the first tells what memory they take
    mixed = shown[:count]
    assert pixels.min() - 1e-4 <= mixed.min()
    assert mixed.max() <= pixels.max() + 1e-4
    assert mixed.std() < 0.9 * pixels.std()
    assert torch.equal(shown[count:], data.validation.inputs)


def test_smoothed_labels_make_modest_answers(data: TrainingData) -> None:
    def confidence(smoothing: float) -> float:
        model = network()
        training = replace(QUICK, epochs=8, label_smoothing=smoothing)
        train(model, data, training, seed=0, options=told(training, data))
        logits = predict(model, data.train.inputs)
        return float(logits.softmax(-1).max(-1).values.mean())

    assert confidence(0.5) < 0.7 < 0.85 < confidence(0.0)


def test_an_epoch_is_judged_at_the_temperature_that_suits_it() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (300,), generator=generator)
    logits = functional.one_hot(labels, 4) + torch.randn(300, 4, generator=generator)
    least = float(PLAIN.calibrated(logits, labels))
    assert least <= float(PLAIN(logits, labels))
    for factor in (0.5, 2.0, 8.0):
        assert float(PLAIN.calibrated(factor * logits, labels)) == pytest.approx(least, rel=0.02)
    numbers = torch.randn(20)
    assert PLAIN.calibrated(numbers[:, None] + 1, numbers) == pytest.approx(1.0)

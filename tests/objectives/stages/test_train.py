from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.memory import is_out_of_memory
from greenfront.objectives.stages.augment import draw_moves, move_images
from greenfront.objectives.stages.distil import TeacherOutputs
from greenfront.objectives.stages.examples import Examples, TrainingData, trimmed
from greenfront.objectives.stages.loss import PLAIN
from greenfront.objectives.stages.predict import predict
from greenfront.objectives.stages.train import EpochReport, FitOptions, pick_device, train
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.architectures.mlp import MLP
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.training import Training

CLASSES = 10
QUICK = Training(learning_rate=5e-3, epochs=3, patience=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    cache = tmp_path_factory.mktemp("cache")
    return TrainingData.of(load_task(TaskSettings(kind="digits"), cache=Path(cache), seed=7), "cpu")


@pytest.fixture(scope="module")
def hopeless(data: TrainingData) -> TrainingData:
    """Validation labels that say nothing: the better the training goes, the worse they fit."""
    order = torch.randperm(len(data.validation.labels), generator=torch.Generator().manual_seed(0))
    validation = Examples(data.validation.inputs, data.validation.labels[order])
    return replace(data, validation=validation)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return MLP().build({"depth": 1, "width_1": 32}, (1, 8, 8), CLASSES)


def accuracy(model: nn.Module, examples: Examples) -> float:
    return float((predict(model, examples.inputs).argmax(-1) == examples.labels).float().mean())


def loss(model: nn.Module, examples: Examples) -> float:
    return float(PLAIN.calibrated(predict(model, examples.inputs), examples.labels))


def weights(model: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


# --- training ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "training",
    [
        Training(epochs=8),
        Training(optimizer="sgd", learning_rate=0.05, epochs=8),
        Training(mixed_precision=True, epochs=8),
    ],
    ids=["adamw", "sgd", "bfloat16"],
)
def test_it_learns_digits(data: TrainingData, training: Training) -> None:
    model = network()
    assert accuracy(model, data.validation) < 0.3
    train(model, data, training, seed=0)
    assert accuracy(model, data.validation) > 0.9
    assert all(weight.dtype == torch.float32 for weight in model.parameters())


def test_it_reports_every_epoch(data: TrainingData) -> None:
    model, reports, seen = network(), list[EpochReport](), list[float]()

    def hear(report: EpochReport) -> None:
        reports.append(report)
        seen.append(accuracy(model, data.validation))

    train(model, data, QUICK, seed=0, options=FitOptions(on_epoch=hear))
    assert [(report.epoch, report.epochs) for report in reports] == [(1, 3), (2, 3), (3, 3)]
    assert [report.qualities[-1] for report in reports] == seen
    assert seen[-1] > seen[0]


def test_the_best_weights_stay(hopeless: TrainingData) -> None:
    model, losses = network(), list[float]()
    best = train(
        model,
        hopeless,
        replace(QUICK, epochs=6),
        seed=0,
        options=FitOptions(on_epoch=lambda _: losses.append(loss(model, hopeless.validation))),
    ).reached.best_epoch
    assert len(losses) == 6
    assert losses[-1] > min(losses)
    assert best == 1 + losses.index(min(losses))
    assert loss(model, hopeless.validation) == min(losses)


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_ends_a_training_that_gains_nothing(hopeless: TrainingData, patience: int) -> None:
    epochs: list[int] = []
    best = train(
        network(),
        hopeless,
        replace(QUICK, epochs=40, patience=patience),
        seed=0,
        options=FitOptions(on_epoch=lambda report: epochs.append(report.epoch)),
    ).reached.best_epoch
    assert epochs[-1] == best + patience < 40


def test_patience_is_shorter_while_the_best_epoch_is_an_early_one(hopeless: TrainingData) -> None:
    training = replace(QUICK, epochs=40, patience=20, first_patience=2)
    reached = train(network(), hopeless, training, seed=0).reached
    assert reached.epoch == 2 * reached.best_epoch + 2 < 20
    assert [training.last_epoch(best) for best in (1, 10, 18, 19, 30)] == [4, 22, 38, 39, 40]
    assert replace(training, patience=0).last_epoch(1) == 40


def test_a_training_is_as_long_as_asked_for(data: TrainingData) -> None:
    reports: list[EpochReport] = []
    training = replace(QUICK, epochs=2)
    train(network(), data, training, seed=0, options=FitOptions(on_epoch=reports.append))
    assert [(report.epoch, report.epochs) for report in reports] == [(1, 2), (2, 2)]


def test_no_epochs_leave_the_weights_alone(data: TrainingData) -> None:
    model = network()
    before = weights(model)
    training = replace(QUICK, epochs=0)
    assert train(model, data, training, seed=0).reached.best_epoch == 0
    assert torch.equal(weights(model), before)


def test_the_seed_decides_everything(data: TrainingData) -> None:
    trained: list[Tensor] = []
    for seed in (5, 5, 6):
        model = network()
        torch.manual_seed(len(trained))  # not torch's global generator
        train(model, data, QUICK, seed=seed)
        trained.append(weights(model))
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])


def test_a_last_batch_of_one_does_not_break_batch_normalisation(data: TrainingData) -> None:
    small = Examples(data.train.inputs[:65], data.train.labels[:65])
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, CLASSES))
    assert train(model, replace(data, train=small), QUICK, seed=0).reached.best_epoch >= 1


def test_every_example_is_seen_once_an_epoch(data: TrainingData) -> None:
    model = Watched()
    train(model, data, replace(QUICK, epochs=1, batch_size=100), seed=0)
    _, *batches = model.seen[True]  # first of all, two examples tell what memory each takes
    assert max(map(len, batches)) <= 100
    seen, there = torch.cat(batches).flatten(1), data.train.inputs.flatten(1)
    assert not torch.equal(seen, there)  # shuffled
    assert sorted(seen.tolist()) == sorted(there.tolist())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_divergence_is_told(data: TrainingData, optimizer: str) -> None:
    training = replace(QUICK, optimizer=optimizer, learning_rate=1e30)
    with pytest.raises(TrialFailed, match=rf"epoch 1 .*{optimizer}") as failure:
        train(network(), data, training, seed=0)
    assert failure.value.cause == "diverged"


def test_an_unknown_optimizer_is_told(data: TrainingData) -> None:
    with pytest.raises(TrialFailed, match="'adam' is unknown: take 'adamw' or 'sgd'"):
        train(network(), data, replace(QUICK, optimizer="adam"), seed=0)


def test_predictions_keep_their_order_and_the_model_its_weights(data: TrainingData) -> None:
    model = network()
    inputs = data.train.inputs  # more than one chunk
    assert len(inputs) > 600
    logits = predict(model.train(), inputs)
    assert not logits.requires_grad
    torch.testing.assert_close(logits[600:603], model(inputs[600:603]))


def test_a_missing_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="device: 'cuda' is not usable here"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [pick_device(wanted) for wanted in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]


# --- distillation ------------------------------------------------------------------------------


def test_a_student_learns_what_its_teacher_says_of_each_example(data: TrainingData) -> None:
    # A teacher that names the next digit: only answers in the order of the examples teach that.
    def following(examples: Examples) -> Examples:
        return Examples(examples.inputs, (examples.labels + 1) % CLASSES)

    teacher = 12 * functional.one_hot(following(data.train).labels, CLASSES).float()
    judged = replace(data, validation=following(data.validation))
    model = network()
    train(
        model,
        judged,
        replace(QUICK, epochs=8),
        seed=0,
        options=FitOptions(distillation=Distillation(2.0, 1.0), lessons=TeacherOutputs(teacher)),
    )
    assert accuracy(model, judged.validation) > 0.85
    assert accuracy(model, data.validation) < 0.1


# --- augmentation ------------------------------------------------------------------------------


class Watched(nn.Module):
    """Remembers what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()
        self.seen: dict[bool, list[Tensor]] = {True: [], False: []}

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen[self.training].append(inputs)
        logits: Tensor = self.inner(inputs)
        return logits


def test_images_are_moved_in_training_alone(data: TrainingData) -> None:
    shown = {}
    for kind in ("none", "shift+flip"):
        model = Watched()
        train(model, data, replace(QUICK, epochs=2, augmentation=kind), seed=4)
        tried = len(model.seen[True].pop(0))  # what memory they take
        assert tried == 2
        shown[kind] = {mode: torch.cat(parts) for mode, parts in model.seen.items()}
    still, moved = shown["none"], shown["shift+flip"]
    assert torch.equal(moved[False], still[False])
    # The very examples, in the very order, moved as the seed says.
    motion, order = (torch.Generator().manual_seed(seed) for seed in (5, 4))
    count, expected = len(data.train), list[Tensor]()
    for epoch in torch.split(still[True], count):
        moves = draw_moves("shift+flip", count, (1, 8, 8), motion)
        assert moves is not None
        expected.append(move_images(epoch, moves[torch.randperm(count, generator=order)]))
    assert torch.equal(moved[True], torch.cat(expected))
    assert not torch.equal(moved[True], still[True])


def test_the_seed_decides_how_images_move(data: TrainingData) -> None:
    for epochs in (1, 2):
        training = replace(QUICK, epochs=epochs, augmentation="shift")
        trained: list[Tensor] = []
        for seed in (5, 5, 6):
            model = network()
            train(model, data, training, seed=seed)
            trained.append(weights(model))
        plain = network()
        train(plain, data, replace(training, augmentation="none"), seed=5)
        assert torch.equal(trained[0], trained[1])
        assert not torch.equal(trained[0], trained[2])
        assert not torch.equal(trained[0], weights(plain))


@pytest.mark.parametrize(
    "change", [{"augmentation": "shift+flip"}, {"augmentation": "affine"}, {"mixup": 0.5}]
)
def test_a_batch_in_parts_is_augmented_like_a_whole_one(
    data: TrainingData, change: dict[str, Any]
) -> None:
    training = replace(QUICK, epochs=1, **change)
    tight, ample = Small(20), Small(1000)
    for model in (tight, ample):
        train(model, data, training, seed=0)
    torch.testing.assert_close(weights(tight), weights(ample), rtol=1e-3, atol=1e-4)


def test_tables_cannot_be_moved() -> None:
    table = Examples(torch.randn(20, 6), torch.arange(20) % CLASSES)
    model = nn.Linear(6, CLASSES)
    with pytest.raises(UsageError, match=r"inputs are of shape \[6\]: take 'none'"):
        train(model, TrainingData(table, table), replace(QUICK, augmentation="flip"), seed=0)


# --- memory, rates, padding ------------------------------------------------------------------


class Small(nn.Module):
    """A network in a memory that holds so many examples in training."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.inner = network()
        self.most = most

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training and len(inputs) > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        logits: Tensor = self.inner(inputs)
        return logits


def test_a_batch_that_does_not_fit_is_computed_in_parts(data: TrainingData) -> None:
    training = replace(QUICK, batch_size=64)
    reports: list[EpochReport] = []
    tight, ample = Small(20), Small(1000)
    train(tight, data, training, seed=0, options=FitOptions(on_epoch=reports.append))
    assert [report.at_once for report in reports] == [16] * 3
    train(ample, data, training, seed=0, options=FitOptions(on_epoch=reports.append))
    assert reports[-1].at_once == 64
    torch.testing.assert_close(weights(tight), weights(ample), rtol=1e-3, atol=1e-4)


def test_without_any_room_the_shortage_is_raised(data: TrainingData) -> None:
    with pytest.raises(RuntimeError, match="allocate") as failure:
        train(Small(1), data, QUICK, seed=0)
    assert is_out_of_memory(failure.value)
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_the_head_gets_the_full_rate_and_the_body_its_share(data: TrainingData) -> None:
    still, moving = network(), network()
    before = [weight.detach().clone() for weight in still.parameters()]
    head = list(still.children())[-1]
    train(still, data, QUICK, seed=0, options=FitOptions(head=head, body_rate=0.0))
    *body, of_head, bias = still.parameters()
    assert not torch.equal(of_head, before[-2])
    assert not torch.equal(bias, before[-1])
    # Weight decay is a share of the rate, so a rate of 0 leaves every number as it was.
    assert all(torch.equal(weight, was) for weight, was in zip(body, before, strict=False))
    train(
        moving,
        data,
        QUICK,
        seed=0,
        options=FitOptions(head=list(moving.children())[-1], body_rate=1.0),
    )
    assert not torch.equal(next(moving.parameters()), before[0])


def test_what_asks_for_no_gradient_stays(data: TrainingData) -> None:
    model = network()
    frozen = next(model.parameters())
    frozen.requires_grad_(False)
    was = frozen.clone()
    train(model, data, QUICK, seed=0)
    assert torch.equal(frozen, was)


@pytest.mark.parametrize("kind", [torch.tensor, np.array])
def test_batches_are_cut_to_their_longest_text(kind: Callable[[list[list[int]]], Any]) -> None:
    batch = kind([[5, 6, 0, 0], [7, 0, 8, 0]])
    assert trimmed(batch, 0).tolist() == [[5, 6, 0], [7, 0, 8]]
    assert trimmed(batch, None).shape == (2, 4)
    assert trimmed(kind([[0, 0], [0, 0]]), 0).shape == (2, 1)

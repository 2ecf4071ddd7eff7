"""Training: from random or pruned weights to the best ones seen on the validation split."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.tasks.task import Labelled, Task
from greenfront.spaces.candidate import Distillation, Training

__all__ = [
    "EpochReport",
    "Examples",
    "TrainingData",
    "distillation_loss",
    "pick_device",
    "predict",
    "supports_mixed_precision",
    "train",
]

CHUNK = 512
"""Examples a forward pass where no gradient is kept: bounds memory, not results."""


@dataclass(frozen=True, slots=True)
class Examples:
    """One split as tensors on the training device: inputs float32 ``[n, …]``, labels int64."""

    inputs: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: Labelled, device: str) -> Examples:
        """Moves a split to ``device``."""
        return cls(
            torch.from_numpy(split.inputs).to(device), torch.from_numpy(split.labels).to(device)
        )


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What training may see: never the test split."""

    train: Examples
    validation: Examples

    @classmethod
    def of(cls, task: Task, device: str) -> TrainingData:
        """Moves a task's training and validation splits to ``device``."""
        return cls(Examples.of(task.train, device), Examples.of(task.validation, device))


@dataclass(frozen=True, slots=True)
class EpochReport:
    """How far a training has come: ``epoch`` of ``epochs``, accuracy 0 to 1 on validation."""

    epoch: int
    epochs: int
    accuracy: float


def pick_device(wanted: str) -> str:
    """``"cuda"`` or ``"cpu"``; ``"auto"`` takes a GPU where there is one.

    Raises:
        UsageError: A GPU is wanted and there is none.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UsageError(
            "[training] device: 'cuda' is not usable here (no GPU, or torch was built without "
            "CUDA): take 'auto' or 'cpu'"
        )
    return "cuda" if there and wanted != "cpu" else "cpu"


def supports_mixed_precision(device: str) -> bool:
    """Whether bfloat16 products are a gain there: emulated ones are several times slower."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def distillation_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, distillation: Distillation
) -> Tensor:
    """Soft and hard loss together.

    ``w·T²·KL(teacher/T ‖ student/T) + (1 − w)·cross-entropy``; the T² keeps the gradients of the
    soft part independent of the temperature (Hinton, Vinyals and Dean, arXiv 1503.02531).

    Args:
        student: Logits ``[n, classes]``.
        teacher: Logits ``[n, classes]``, without gradient.
        labels: Class indices ``[n]``.
        distillation: Temperature and weight.
    """
    heat = distillation.temperature
    soft = functional.kl_div(
        functional.log_softmax(student / heat, dim=-1),
        functional.log_softmax(teacher / heat, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
    hard = functional.cross_entropy(student, labels)
    return distillation.weight * heat**2 * soft + (1 - distillation.weight) * hard


@torch.no_grad()
def predict(model: nn.Module, inputs: Tensor) -> Tensor:
    """Logits ``[n, classes]`` of inputs ``[n, …]``, in evaluation mode."""
    model.eval()
    return torch.cat([model(chunk) for chunk in torch.split(inputs, CHUNK)])


def train(
    model: nn.Module,
    data: TrainingData,
    training: Training,
    *,
    seed: int,
    stage: Literal["train", "fine-tune"] = "train",
    distillation: Distillation | None = None,
    teacher_logits: Tensor | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> int:
    """Trains ``model`` in place and leaves in it the weights of the best validation loss.

    Cosine schedule from the peak rate to zero, over ``epochs`` or ``fine_tune_epochs``: a pruned
    network has lost enough to need the full rate again.

    Args:
        model: On the device of ``data``.
        data: Training and validation examples.
        training: Knobs.
        seed: For the order of the examples.
        stage: Which of the two.
        distillation: With ``teacher_logits``: the loss of :func:`distillation_loss`.
        teacher_logits: ``[n, classes]``, in the order of the training examples.
        on_epoch: Called after each epoch.

    Returns:
        The epoch whose weights were kept, from 1.

    Raises:
        TrialFailed: The loss became infinite or NaN (cause ``"diverged"``).
    """
    tuning = stage == "fine-tune"
    epochs = training.fine_tune_epochs if tuning else training.epochs
    examples = data.train
    # A last batch of one example would break batch normalisation: spread the examples evenly.
    batches = math.ceil(len(examples.labels) / training.batch_size)
    optimizer = _optimizer(model, training.optimizer, training.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * batches)
    order = torch.Generator().manual_seed(seed)
    device = examples.inputs.device.type
    best_loss, best_epoch, best_weights = math.inf, 0, copy.deepcopy(model.state_dict())
    for epoch in range(1, epochs + 1):
        model.train()
        shuffled = torch.randperm(len(examples.labels), generator=order).to(device)
        for chosen in shuffled.tensor_split(batches):
            with torch.autocast(device, torch.bfloat16, enabled=training.mixed_precision):
                logits = model(examples.inputs[chosen])
            labels = examples.labels[chosen]
            if distillation is not None and teacher_logits is not None:
                loss = distillation_loss(
                    logits.float(), teacher_logits[chosen], labels, distillation
                )
            else:
                loss = functional.cross_entropy(logits.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        logits = predict(model, data.validation.inputs)
        validation_loss = float(functional.cross_entropy(logits, data.validation.labels))
        training_loss = float(loss.detach())
        if not (math.isfinite(training_loss) and math.isfinite(validation_loss)):
            raise TrialFailed(
                "diverged",
                f"the loss was {training_loss:g} in training and {validation_loss:g} in validation "
                f"after epoch {epoch} with {training.optimizer} at learning rate "
                f"{training.learning_rate:g}",
            )
        accuracy = float((logits.argmax(-1) == data.validation.labels).float().mean())
        if on_epoch is not None:
            on_epoch(EpochReport(epoch, epochs, accuracy))
        if validation_loss < best_loss:
            best_loss, best_epoch = validation_loss, epoch
            best_weights = copy.deepcopy(model.state_dict())
        elif training.patience and epoch - best_epoch >= training.patience:
            break
    model.load_state_dict(best_weights)
    return best_epoch


def _optimizer(model: nn.Module, name: str, rate: float) -> torch.optim.Optimizer:
    match name:
        case "adamw":
            return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-2)
        case "sgd":
            return torch.optim.SGD(
                model.parameters(), lr=rate, momentum=0.9, nesterov=True, weight_decay=5e-4
            )
        case _:
            raise TrialFailed("error", f"optimizer {name!r} is unknown: take 'adamw' or 'sgd'")

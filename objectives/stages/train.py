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
from greenfront.objectives.memory import is_out_of_memory
from greenfront.objectives.stages.examples import TrainingData, trimmed
from greenfront.spaces.candidate import Distillation, Training

__all__ = [
    "EpochReport",
    "distillation_loss",
    "pick_device",
    "predict",
    "supports_mixed_precision",
    "train",
]

CHUNK_NUMBERS, FEWEST_AT_ONCE, MOST_AT_ONCE = 2**20, 16, 128
"""Inputs a forward pass where no gradient is kept: bounds memory, not results."""

WARM_UP_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class EpochReport:
    """How far a training has come.

    Attributes:
        epoch: From 1.
        epochs: At most.
        accuracy: On the validation split, 0 to 1.
        at_once: Examples in memory at once: less than a batch where memory was short.
    """

    epoch: int
    epochs: int
    accuracy: float
    at_once: int


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
def predict(model: nn.Module, inputs: Tensor, padding: int | None = None) -> Tensor:
    """Logits ``[n, classes]`` of inputs ``[n, …]``, in evaluation mode.

    Args:
        model: On the device of ``inputs``.
        inputs: Encoded examples.
        padding: What fills short ones up; see :func:`trimmed`.
    """
    model.eval()
    at_once = max(FEWEST_AT_ONCE, min(MOST_AT_ONCE, CHUNK_NUMBERS // max(1, inputs[0].numel())))
    return torch.cat([model(trimmed(part, padding)) for part in torch.split(inputs, at_once)])


def train(
    model: nn.Module,
    data: TrainingData,
    training: Training,
    *,
    seed: int,
    stage: Literal["train", "fine-tune"] = "train",
    head: nn.Module | None = None,
    body_rate: float = 1.0,
    distillation: Distillation | None = None,
    teacher_logits: Tensor | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> int:
    """Trains ``model`` in place and leaves in it the weights of the best validation loss.

    A short linear warm-up to the peak rate, then a cosine to zero, over ``epochs`` or
    ``fine_tune_epochs``: a pruned network has lost enough to need the full rate again. A batch
    that does not fit into memory is computed in halves, quarters, and so on.

    Args:
        model: On the device of ``data``. Weights without gradient stay as they are.
        data: Training and validation examples.
        training: Knobs.
        seed: For the order of the examples.
        stage: Which of the two.
        head: The layer that gets the full learning rate.
        body_rate: Share of the learning rate for all other layers.
        distillation: With ``teacher_logits``: the loss of :func:`distillation_loss`.
        teacher_logits: ``[n, classes]``, in the order of the training examples.
        on_epoch: Called after each epoch.

    Returns:
        The epoch whose weights were kept, from 1.

    Raises:
        TrialFailed: The loss became infinite or NaN (cause ``"diverged"``).
    """
    epochs = training.fine_tune_epochs if stage == "fine-tune" else training.epochs
    examples = data.train
    # A last batch of one example would break batch normalisation: spread the examples evenly.
    batches = math.ceil(len(examples) / training.batch_size)
    optimizer = _optimizer(model, training, head, body_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_cosine(epochs * batches))
    order = torch.Generator().manual_seed(seed)
    device = examples.inputs.device.type
    parts = 1
    best_loss, best_epoch, best_weights = math.inf, 0, copy.deepcopy(model.state_dict())

    def loss_of(chosen: Tensor) -> Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=training.mixed_precision):
            logits = model(examples.batch(chosen)).float()
        labels = examples.labels[chosen]
        if distillation is not None and teacher_logits is not None:
            return distillation_loss(logits, teacher_logits[chosen], labels, distillation)
        return functional.cross_entropy(logits, labels)

    for epoch in range(1, epochs + 1):
        model.train()
        shuffled = torch.randperm(len(examples), generator=order).to(device)
        for chosen in shuffled.tensor_split(batches):
            loss, parts = _accumulated(optimizer, loss_of, chosen, parts)
            optimizer.step()
            schedule.step()
        logits = predict(model, data.validation.inputs, data.validation.padding)
        validation_loss = float(functional.cross_entropy(logits, data.validation.labels))
        if not (math.isfinite(loss) and math.isfinite(validation_loss)):
            raise TrialFailed(
                "diverged",
                f"the loss was {loss:g} in training and {validation_loss:g} in validation "
                f"after epoch {epoch} with {training.optimizer} at learning rate "
                f"{training.learning_rate:g}",
            )
        accuracy = float((logits.argmax(-1) == data.validation.labels).float().mean())
        if on_epoch is not None:
            at_once = math.ceil(training.batch_size / parts)
            on_epoch(EpochReport(epoch, epochs, accuracy, at_once))
        if validation_loss < best_loss:
            best_loss, best_epoch = validation_loss, epoch
            best_weights = copy.deepcopy(model.state_dict())
        elif training.patience and epoch - best_epoch >= training.patience:
            break
    model.load_state_dict(best_weights)
    return best_epoch


def _accumulated(
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[Tensor], Tensor],
    chosen: Tensor,
    parts: int,
) -> tuple[float, int]:
    """Leaves the gradient of a batch, computed in as many parts as memory demands.

    Returns:
        The mean loss, and the number of parts that it took.
    """
    while True:
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        try:
            for part in chosen.tensor_split(parts):
                loss = loss_of(part) * (len(part) / len(chosen))
                loss.backward()  # type: ignore[no-untyped-call]
                total += float(loss.detach())
        except (MemoryError, RuntimeError) as error:
            # Parts of one example would break batch normalisation.
            if not is_out_of_memory(error) or len(chosen) // (2 * parts) < 2:
                raise
            parts *= 2
        else:
            return total, parts


def _warm_cosine(steps: int) -> Callable[[int], float]:
    warm = max(1, round(WARM_UP_SHARE * steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        return (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2

    return factor


def _optimizer(
    model: nn.Module, training: Training, head: nn.Module | None, body_rate: float
) -> torch.optim.Optimizer:
    of_head = {id(weight) for weight in head.parameters()} if head is not None else set()
    moving = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": weights, "lr": training.learning_rate * rate}
        for weights, rate in (
            ([weight for weight in moving if id(weight) in of_head], 1.0),
            ([weight for weight in moving if id(weight) not in of_head], body_rate),
        )
        if weights
    ]
    match training.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, weight_decay=1e-2)
        case "sgd":
            return torch.optim.SGD(groups, momentum=0.9, nesterov=True, weight_decay=5e-4)
        case name:
            raise TrialFailed("error", f"optimizer {name!r} is unknown: take 'adamw' or 'sgd'")

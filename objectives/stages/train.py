"""Training: from random or pruned weights to the best ones seen on the validation split."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.memory import is_out_of_memory
from greenfront.objectives.stages.augment import Mixture, draw_mixtures, draw_moves, move_images
from greenfront.objectives.stages.averaging import RunningMean
from greenfront.objectives.stages.checkpoint import Checkpoint, Loop, Reached
from greenfront.objectives.stages.compiling import Forward
from greenfront.objectives.stages.distil import TeacherOutputs, criterion
from greenfront.objectives.stages.examples import TrainingData
from greenfront.objectives.stages.loss import PLAIN, Loss, quality
from greenfront.objectives.stages.microbatch import parts_of_batch
from greenfront.objectives.stages.optimizer import optimizer, rate_shares, warm_cosine
from greenfront.objectives.stages.predict import predict
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.training import Training

__all__ = [
    "EpochReport",
    "FitOptions",
    "pick_device",
    "predict",
    "supports_mixed_precision",
    "train",
    "train_some",
]


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How a network is trained, besides the candidate's knobs.

    Attributes:
        head: The layer that gives the logits and gets the full learning rate.
        blocks: From the input to the output, for rates that decay; see :func:`rate_shares`.
        body_rate: Share of the learning rate for all other layers.
        weight_decay: Of AdamW.
        warm_up: Share of the steps over which the rate rises.
        loss: By the labels.
        distillation: How much of which lesson.
        lessons: Of a teacher, on the training examples.
        compiled: Whether steps are compiled; the weights keep their names.
        on_epoch: Called after each epoch.
        say: Called with a message when something went wrong that could be mended.
    """

    head: nn.Module | None = None
    blocks: Sequence[nn.Module] = ()
    body_rate: float = 1.0
    weight_decay: float = 1e-2
    warm_up: float = 0.05
    loss: Loss = PLAIN
    distillation: Distillation | None = None
    lessons: TeacherOutputs | None = None
    compiled: bool = False
    on_epoch: Callable[[EpochReport], None] | None = None
    say: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True)
class EpochReport:
    """How far a training has come.

    Attributes:
        epoch: From 1.
        epochs: At most.
        qualities: After each epoch so far, on the validation split: the share that is right, 0 to
            1, or R² of numbers.
        over: Whether it was the last one: all are over, or patience is at its end.
        at_once: Examples in memory at once: less than a batch where that would take too much.
    """

    epoch: int
    epochs: int
    qualities: tuple[float, ...]
    over: bool
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


def train(
    model: nn.Module,
    data: TrainingData,
    training: Training,
    seed: int,
    options: FitOptions = FitOptions(),
) -> int:
    """Trains ``model`` in place and leaves in it the weights of the best validation loss.

    See :func:`train_some`, of which this is the whole.

    Returns:
        The epoch whose weights were kept, from 1.
    """
    return train_some(model, data, training, seed, options).reached.best_epoch


def train_some(
    model: nn.Module,
    data: TrainingData,
    training: Training,
    seed: int,
    options: FitOptions = FitOptions(),
    *,
    until: int | None = None,
    since: Checkpoint | None = None,
) -> Checkpoint:
    """Trains ``model`` in place for some of its epochs, and leaves the best weights so far in it.

    However often a training stops and goes on, it ends as the one that never did, bit by bit.

    The loss is that at the temperature which suits the answers best: late epochs and students are
    surer than they should be, and yet more often right.

    A short linear warm-up to the peak rate, then a cosine to zero: a pruned network has lost enough
    to need the full rate again. Training batches are augmented, mixed and smoothed, the validation
    split never. A batch that would take too much memory is computed in parts, and in halves of
    these where they do not fit, either. The seed is for the order of examples and for how images
    are moved.

    Args:
        model: Random or pruned; what it holds does not matter where it goes on from ``since``.
        data: Of the task.
        training: The whole of it: the schedule is that of all its epochs.
        seed: See above.
        options: Of the family.
        until: The epoch after which to stop; ``None``: the last.
        since: Where an earlier call has stopped.

    Returns:
        Where it stands now.

    Raises:
        TrialFailed: The loss became infinite or NaN (cause ``"diverged"``).
        TrialStopped: ``on_epoch`` raised it.
        UsageError: Inputs are augmented that are no images.
    """
    epochs, examples = training.epochs, data.train
    # A last batch of one example would break batch normalisation: spread the examples evenly.
    batches = math.ceil(len(examples) / training.batch_size)
    # One generator for the order and one for the moves: these change nothing in the order.
    order, motion = (torch.Generator().manual_seed(number) for number in (seed, seed + 1))
    device, kind = examples.inputs.device, training.augmentation
    reached = Reached(0, 0, math.inf, parts=0, over=False) if since is None else since.reached
    best_weights = copy.deepcopy(model.state_dict()) if since is None else dict(since.best)
    if since is not None and reached.over:
        model.load_state_dict(best_weights)
        return since
    last = epochs if until is None else min(until, epochs)
    with (
        criterion(
            model,
            examples,
            options.head,
            options.distillation,
            options.lessons,
            seed,
            options.loss,
        ) as loss_of,
        Forward(model, compiled=options.compiled, say=options.say) as forward,
    ):
        shares = rate_shares(
            model.train(),
            head=options.head,
            blocks=options.blocks,
            body_rate=options.body_rate,
            layer_decay=training.layer_decay,
        )
        parts = parts_of_batch(model, examples.inputs[:2], len(examples) // batches)
        mover = optimizer(training, shares, loss_of.weights, options.weight_decay)
        rates = warm_cosine(epochs * batches, options.warm_up)
        schedule = torch.optim.lr_scheduler.LambdaLR(mover, rates)
        mean = RunningMean(model, epochs * batches) if training.average_weights else None
        loop = Loop(model, loss_of.weights, mover, schedule, mean, (order, motion))
        if since is not None:
            loop.restore(since)
            parts = reached.parts

        def seen(chosen: Tensor) -> Tensor:
            inputs = examples.batch(chosen)
            return inputs if moves is None else move_images(inputs, moves[chosen])

        def part_loss(chosen: Tensor, mixture: Mixture | None) -> Tensor:
            inputs = seen(chosen)
            if mixture is not None:
                inputs = mixture.of(inputs, seen(mixture.partners[chosen]))
            with torch.autocast(device.type, torch.bfloat16, enabled=training.mixed_precision):
                logits = forward(inputs).float()
            loss = loss_of(logits, chosen)
            if mixture is None:
                return loss
            return mixture.of(loss, loss_of(logits, mixture.partners[chosen]))

        for epoch in range(reached.epoch + 1, last + 1):
            model.train()
            shuffled = torch.randperm(len(examples), generator=order).to(device)
            moves = draw_moves(kind, len(examples), examples.inputs.shape[1:], motion)
            moves = None if moves is None else moves.to(device)
            mixtures = draw_mixtures(training.mixup, shuffled, batches, motion)
            for chosen, mixture in zip(shuffled.tensor_split(batches), mixtures, strict=True):
                mixed_loss = partial(part_loss, mixture=mixture)
                loss, parts = _accumulated(mover, mixed_loss, chosen, parts, forward)
                mover.step()
                schedule.step()
                if mean is not None:
                    mean.update()
            with nullcontext() if mean is None else mean.shown():
                logits = predict(model, data.validation.inputs, data.validation.padding)
                validation_loss = float(options.loss.judge(logits, data.validation.labels))
                judged = float(options.loss.calibrated(logits, data.validation.labels))
                best, best_epoch = reached.best_loss, reached.best_epoch
                if judged < best:
                    best, best_epoch = judged, epoch
                    best_weights = copy.deepcopy(model.state_dict())
                patient = not training.patience or epoch - best_epoch < training.patience
                over = epoch == epochs or not patient
                seen_so_far = (*reached.qualities, quality(logits, data.validation.labels))
                reached = Reached(epoch, best_epoch, best, parts, over, seen_so_far)
            if not (math.isfinite(loss) and math.isfinite(validation_loss)):
                raise TrialFailed(
                    "diverged",
                    f"the loss was {loss:g} in training and {validation_loss:g} in validation "
                    f"after epoch {epoch} with {training.optimizer} at learning rate "
                    f"{training.learning_rate:g}",
                )
            if options.on_epoch is not None:
                at_once = math.ceil(training.batch_size / parts)
                options.on_epoch(EpochReport(epoch, epochs, seen_so_far, over, at_once))
            if reached.over:
                break
        # Where no epoch is left, nothing else is needed any more.
        over = reached.over
        left = Checkpoint(reached, best_weights) if over else loop.checkpoint(reached, best_weights)
    model.load_state_dict(best_weights)
    return left


def _accumulated(
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[Tensor], Tensor],
    chosen: Tensor,
    parts: int,
    forward: Forward,
) -> tuple[float, int]:
    """Leaves a batch's gradient; returns its mean loss and how many parts memory demanded."""
    while True:
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        try:
            for part in chosen.tensor_split(parts):
                loss = loss_of(part) * (len(part) / len(chosen))
                loss.backward()  # type: ignore[no-untyped-call]
                total += float(loss.detach())
        except (MemoryError, RuntimeError) as error:
            if forward.gives_up(error):
                continue
            # Parts of one example would break batch normalisation.
            if not is_out_of_memory(error) or len(chosen) // (2 * parts) < 2:
                raise
            parts *= 2
        else:
            return total, parts

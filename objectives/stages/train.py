"""Training: from random or pruned weights to the best ones seen on the validation split."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.memory import is_out_of_memory
from greenfront.objectives.stages.augment import Mixture, draw_mixtures, draw_moves, move_images
from greenfront.objectives.stages.averaging import RunningMean
from greenfront.objectives.stages.checkpoint import Checkpoint, Loop, Reached
from greenfront.objectives.stages.compiling import Forward
from greenfront.objectives.stages.distil import Criterion, TeacherOutputs, criterion
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.loss import PLAIN, Loss, quality
from greenfront.objectives.stages.microbatch import parts_of_batch
from greenfront.objectives.stages.optimizer import build_optimizer, rate_shares, warm_cosine
from greenfront.objectives.stages.predict import predict
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.training import Training

__all__ = [
    "EpochReport",
    "FitOptions",
    "pick_device",
    "supports_mixed_precision",
    "train",
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
    *,
    until: int | None = None,
    since: Checkpoint | None = None,
) -> Checkpoint:
    """Trains ``model`` in place, all epochs or some, and leaves the best weights so far in it.

    However often a training stops and goes on, it ends as the one that never did, bit by bit.

    The best weights are those of the lowest validation loss, at the temperature which suits the
    answers best: late epochs and students are surer than they should be, and yet more often right.

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
    reached = Reached(0, 0, math.inf, parts=0, over=False) if since is None else since.reached
    best_weights = copy.deepcopy(model.state_dict()) if since is None else dict(since.best)
    if since is not None and reached.over:
        model.load_state_dict(best_weights)
        return since
    last = training.epochs if until is None else min(until, training.epochs)
    examples, teaching = data.train, (options.distillation, options.lessons)
    with (
        criterion(model, examples, options.head, *teaching, seed, options.loss) as loss_of,
        Forward(model, compiled=options.compiled, say=options.say) as forward,
    ):
        model.train()
        # A last batch of one example would break batch normalisation: spread the examples evenly.
        batches = math.ceil(len(examples) / training.batch_size)
        parts = parts_of_batch(model, examples.inputs[:2], len(examples) // batches)
        loop = _loop(model, loss_of.weights, training, seed, options, training.epochs * batches)
        if since is not None:
            loop.restore(since)
            parts = reached.parts
        steps = _Steps(loop, examples, training, loss_of, forward, batches, parts)
        for epoch in range(reached.epoch + 1, last + 1):
            loss = steps.epoch()
            with nullcontext() if loop.mean is None else loop.mean.shown():
                judged = _judge(model, data.validation, options.loss)
                if judged.calibrated < reached.best_loss:
                    best_weights = copy.deepcopy(model.state_dict())
            _require_finite(epoch, loss, judged.loss, training)
            reached = _after_epoch(reached, judged, training, steps.parts)
            if options.on_epoch is not None:
                at_once = math.ceil(training.batch_size / steps.parts)
                report = (epoch, training.epochs, reached.qualities, reached.over, at_once)
                options.on_epoch(EpochReport(*report))
            if reached.over:
                break
        # Where no epoch is left, nothing else is needed any more.
        over = reached.over
        left = Checkpoint(reached, best_weights) if over else loop.checkpoint(reached, best_weights)
    model.load_state_dict(best_weights)
    return left


@dataclass(slots=True)
class _Steps:
    """Takes the optimizer's steps, one epoch after the other.

    Attributes:
        loop: What changes.
        examples: The training split.
        training: Of the candidate.
        loss_of: The loss of logits, by the places of their examples.
        forward: The network's pass.
        batches: In an epoch.
        parts: In how many parts a batch is computed; grows where memory demands it.
    """

    loop: Loop
    examples: Examples
    training: Training
    loss_of: Criterion
    forward: Forward
    batches: int
    parts: int

    def epoch(self) -> float:
        """Trains one epoch; returns the loss of its last batch."""
        order, motion = self.loop.generators
        examples, device = self.examples, self.examples.inputs.device
        self.loop.model.train()
        shuffled = torch.randperm(len(examples), generator=order).to(device)
        shape = examples.inputs.shape[1:]
        moves = draw_moves(self.training.augmentation, len(examples), shape, motion)
        moves = None if moves is None else moves.to(device)
        mixtures = draw_mixtures(self.training.mixup, shuffled, self.batches, motion)
        loss = math.nan
        for chosen, mixture in zip(shuffled.tensor_split(self.batches), mixtures, strict=True):
            loss = self._accumulate(chosen, partial(self._loss, moves=moves, mixture=mixture))
            self.loop.step()
        return loss

    def _loss(self, chosen: Tensor, *, moves: Tensor | None, mixture: Mixture | None) -> Tensor:
        """Mean loss of some examples, moved and mixed."""

        def seen(places: Tensor) -> Tensor:
            inputs = self.examples.batch(places)
            return inputs if moves is None else move_images(inputs, moves[places])

        inputs = seen(chosen)
        if mixture is not None:
            inputs = mixture.of(inputs, seen(mixture.partners[chosen]))
        mixed_precision = self.training.mixed_precision
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=mixed_precision):
            logits = self.forward(inputs).float()
        loss = self.loss_of(logits, chosen)
        if mixture is None:
            return loss
        return mixture.of(loss, self.loss_of(logits, mixture.partners[chosen]))

    def _accumulate(self, chosen: Tensor, loss_of: Callable[[Tensor], Tensor]) -> float:
        """Leaves a batch's gradient in the weights; returns its mean loss."""
        while True:
            self.loop.optimizer.zero_grad(set_to_none=True)
            total = 0.0
            try:
                for part in chosen.tensor_split(self.parts):
                    loss = loss_of(part) * (len(part) / len(chosen))
                    loss.backward()  # type: ignore[no-untyped-call]
                    total += float(loss.detach())
            except (MemoryError, RuntimeError) as error:
                if self.forward.gives_up(error):
                    continue
                # Parts of one example would break batch normalisation.
                if not is_out_of_memory(error) or len(chosen) // (2 * self.parts) < 2:
                    raise
                self.parts *= 2
            else:
                return total


def _loop(
    model: nn.Module,
    extra: Sequence[nn.Parameter],
    training: Training,
    seed: int,
    options: FitOptions,
    steps: int,
) -> Loop:
    """Optimizer, schedule and generators of a training that has not begun."""
    shares = rate_shares(
        model,
        head=options.head,
        blocks=options.blocks,
        body_rate=options.body_rate,
        layer_decay=training.layer_decay,
    )
    optimizer = build_optimizer(training, shares, extra, options.weight_decay)
    rates = warm_cosine(steps, options.warm_up)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rates)
    mean = RunningMean(model, steps) if training.average_weights else None
    # One generator for the order and one for the moves: these change nothing in the order.
    generators = tuple(torch.Generator().manual_seed(number) for number in (seed, seed + 1))
    return Loop(model, extra, optimizer, schedule, mean, generators)


class _Judged(NamedTuple):
    """A network on the validation split: its loss, as it is and at the best temperature."""

    loss: float
    calibrated: float
    quality: float


def _judge(model: nn.Module, validation: Examples, loss: Loss) -> _Judged:
    logits, labels = predict(model, validation.inputs, validation.padding), validation.labels
    return _Judged(
        float(loss.judge(logits, labels)),
        float(loss.calibrated(logits, labels)),
        quality(logits, labels),
    )


def _after_epoch(before: Reached, judged: _Judged, training: Training, parts: int) -> Reached:
    epoch, best_epoch, best_loss = before.epoch + 1, before.best_epoch, before.best_loss
    if judged.calibrated < best_loss:
        best_epoch, best_loss = epoch, judged.calibrated
    over = epoch >= training.last_epoch(best_epoch)
    qualities = (*before.qualities, judged.quality)
    return Reached(epoch, best_epoch, best_loss, parts, over, qualities)


def _require_finite(epoch: int, loss: float, validation_loss: float, training: Training) -> None:
    if not (math.isfinite(loss) and math.isfinite(validation_loss)):
        raise TrialFailed(
            "diverged",
            f"the loss was {loss:g} in training and {validation_loss:g} in validation after epoch "
            f"{epoch} with {training.optimizer} at learning rate {training.learning_rate:g}",
        )

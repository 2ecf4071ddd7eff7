"""Training: how the weights are found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.knobs import Categorical, Knob, Point, Real, Value
from greenfront.spaces.table import Choices, Range, Table
from greenfront.spaces.techniques.technique import Scope, Settings, Technique

__all__ = ["TECHNIQUE", "Training", "TrainingOptions"]

USUAL_RATE = 3e-3
USUAL_BATCH = 64

Epochs = Annotated[int, Field(ge=1, le=10_000, strict=True)]


@dataclass(frozen=True, slots=True)
class Training(Settings):
    """How the weights are found.

    Attributes:
        optimizer: ``"adamw"`` or ``"sgd"`` (Nesterov momentum 0.9).
        learning_rate: Peak of the cosine schedule.
        batch_size: Examples a step.
        mixed_precision: Whether matrix products run in bfloat16.
        epochs: At most so many passes over the training split.
        patience: Stop after so many epochs without a better validation loss; 0 means never.
        fine_tune_epochs: Passes after pruning.
        augmentation: How images are moved in training: ``"none"``, ``"shift"``, ``"flip"`` or
            ``"shift+flip"``.
        layer_decay: What the learning rate of a pretrained network is multiplied by from one block
            to the one before it, so that it shrinks from the head to the input; 1 leaves it alone.
        compile: Whether training steps are compiled: ``"never"``, ``"always"``, or ``"auto"``
            where a training is so long that it pays.
    """

    section: ClassVar[str] = "training"

    optimizer: str = "adamw"
    learning_rate: float = USUAL_RATE
    batch_size: int = USUAL_BATCH
    mixed_precision: bool = False
    epochs: int = 10
    patience: int = 3
    fine_tune_epochs: int = 5
    augmentation: str = "none"
    layer_decay: float = 1.0
    compile: str = "never"


class TrainingOptions(Table):
    """What of training may be searched, and what is fixed: see :class:`Training`.

    Attributes:
        device: Where trials are trained; ``"auto"`` takes a GPU where there is one.
        mixed_precision: ``"auto"`` tries it where the device gains by it.
        augmentation: The first is the baselines'.
        layer_decay: Asked for families whose blocks are known. The first is the baselines'.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    epochs: Epochs = 10
    fine_tune_epochs: Epochs = 5
    patience: Choices[Annotated[int, Field(ge=0, strict=True)]] = (3,)
    optimizer: Choices[Literal["adamw", "sgd"]] = ("adamw", "sgd")
    learning_rate: Range[Annotated[float, Field(gt=0, le=10)]] = (1e-3, 3e-2)
    batch_size: Choices[Annotated[int, Field(ge=2, strict=True)]] = (32, 64, 128)
    mixed_precision: Literal["auto"] | Choices[bool] = "auto"
    augmentation: Choices[Literal["none", "shift", "flip", "shift+flip"]] = ("none",)
    layer_decay: Choices[Annotated[float, Field(gt=0, le=1)]] = (1.0,)
    compile: Literal["never", "auto", "always"] = "never"


class TrainingTechnique(Technique[Training, TrainingOptions]):
    """Training, which every network needs."""

    settings = Training
    options = TrainingOptions
    table = "training"
    order = 50

    def knobs(self, options: TrainingOptions, scope: Scope) -> Iterator[Knob]:
        """All that is searched of a training."""
        mixed = options.mixed_precision
        if mixed == "auto":
            mixed = (False, True) if scope.mixed_precision else (False,)
        yield Categorical("optimizer", options.optimizer)
        yield Real("learning_rate", *options.learning_rate, log=True)
        yield Categorical("batch_size", options.batch_size)
        yield Categorical("mixed_precision", mixed)
        yield Categorical("patience", options.patience)
        yield Categorical("augmentation", options.augmentation)
        layered = scope.asked_for(lambda family: family.layered)
        if layered is not None:
            yield Categorical("layer_decay", options.layer_decay, layered)

    def decode(self, point: Point, family: str, options: TrainingOptions, scope: Scope) -> Training:
        """A family without known blocks has one learning rate."""
        return Training(
            optimizer=str(point["optimizer"]),
            learning_rate=float(point["learning_rate"]),
            batch_size=int(point["batch_size"]),
            mixed_precision=bool(point["mixed_precision"]),
            epochs=options.epochs,
            patience=int(point["patience"]),
            fine_tune_epochs=options.fine_tune_epochs,
            augmentation=str(point["augmentation"]),
            layer_decay=float(point["layer_decay"]) if architecture(family).layered else 1.0,
            compile=options.compile,
        )

    def baseline(self, options: TrainingOptions) -> Mapping[str, Value]:
        """What is usual, as far as it is on offer."""
        low, high = options.learning_rate
        # The square root may lie a rounding error outside a range of one value.
        middle = min(max(math.sqrt(low * high), low), high)
        mixed = options.mixed_precision
        return {
            "optimizer": options.optimizer[0],
            "learning_rate": USUAL_RATE if low <= USUAL_RATE <= high else middle,
            "batch_size": min(options.batch_size, key=lambda size: abs(size - USUAL_BATCH)),
            "mixed_precision": False if mixed == "auto" else min(mixed),
            "patience": options.patience[0],
            "augmentation": options.augmentation[0],
            "layer_decay": options.layer_decay[0],
        }

    def objection(self, options: TrainingOptions, scope: Scope) -> str | None:
        """Only images are augmented."""
        if options.augmentation == ("none",) or scope.inputs == "images":
            return None
        return (
            f"augmentation: {', '.join(map(repr, options.augmentation))} moves images, but task "
            f"{scope.task!r} has {scope.inputs}: leave the key out"
        )


TECHNIQUE = TrainingTechnique()

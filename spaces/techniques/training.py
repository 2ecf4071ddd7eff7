"""Training: how the weights are found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_serializer

from greenfront.spaces.knobs import Categorical, Integer, Knob, Point, Real, Value, When
from greenfront.spaces.table import Choices, Range, Table
from greenfront.spaces.techniques.batch_scaling import rate_factor
from greenfront.spaces.techniques.technique import (
    Opening,
    Scope,
    Settings,
    Surroundings,
    Technique,
    neighbour,
)

__all__ = [
    "TECHNIQUE",
    "Training",
    "TrainingOptions",
    "epoch_range",
    "tuning_epochs",
]

USUAL_RATES = {"adamw": 3e-3, "sgd": 0.05}
"""Where none is given and these lie in the range."""

RATES = {"adamw": (1e-3, 1e-2), "sgd": (0.02, 0.2)}
"""Momentum and a plain step want rates some ten times those of AdamW."""

USUAL_BATCH = 64
VISITS = 30_000
"""Examples seen in the shortest training, each pass counted: few rows want many passes."""

FEWEST_EPOCHS, MOST_EPOCHS = 4, 50
"""Of the shortest training; the longest is four times as long."""

USUAL_SHARE = 0.75
"""Of the longest training: that of a baseline."""

PATIENCE_SHARE = 0.5
"""A rate that falls to zero gains most at the end: stopping early is for what only gets worse."""
FIRST_PATIENCE_SHARE = 0.15
"""Of the epochs; what is best so early has mostly learnt its examples by heart since."""
LEAST_PATIENCE = 3

Epochs = Annotated[int, Field(ge=1, le=10_000, strict=True)]
Rate = Annotated[float, Field(gt=0, le=10)]
Augmentation = Literal["none", "shift", "flip", "shift+flip", "affine", "affine+flip"]


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
        first_patience: Patience begins with so many epochs and is one longer for each epoch by
            which the best one came later, up to ``patience``; 0: it is ``patience`` all the time.
        fine_tune_epochs: Passes after pruning.
        augmentation: How images are moved in training: ``"none"``, ``"shift"``, ``"flip"``,
            ``"shift+flip"``, ``"affine"`` (shifted, turned, scaled) or ``"affine+flip"``.
        layer_decay: What the learning rate of a pretrained network is multiplied by from one block
            to the one before it, so that it shrinks from the head to the input; 1 leaves it alone.
        compile: Whether training steps are compiled: ``"never"``, ``"always"``, or ``"auto"``
            where a training is so long that it pays.
        label_smoothing: Share of each label that is spread over all classes (Szegedy et al.,
            arXiv 1512.00567).
        mixup: Examples are mixed in pairs, in shares from Beta(mixup, mixup) (Zhang et al., arXiv
            1710.09412); 0 leaves them alone.
        average_weights: Whether a running mean of the weights is judged and kept, and not the
            weights of the last step.
        class_weights: ``"balanced"``: an example counts in inverse proportion to how frequent its
            class is; ``"none"``: all count alike.
        loss: Of numbers: ``"mse"``, or ``"huber"`` where some are far off the others.
        scaled: What batch size was multiplied by, and the rate by ``rate_factor``, since larger
            batches cost this device less; both are told as they then are.
    """

    section: ClassVar[str] = "training"

    optimizer: str = "adamw"
    learning_rate: float = USUAL_RATES["adamw"]
    batch_size: int = USUAL_BATCH
    mixed_precision: bool = False
    epochs: int = 10
    patience: int = 3
    fine_tune_epochs: int = 5
    augmentation: str = "none"
    layer_decay: float = 1.0
    compile: str = "never"
    label_smoothing: float = 0.0
    mixup: float = 0.0
    average_weights: bool = False
    class_weights: str = "none"
    loss: str = "mse"
    scaled: int = 1
    first_patience: int = 0

    def describe(self) -> str:
        """That batches are larger than they were asked for."""
        return "" if self.scaled == 1 else f"batch and rate scaled ×{self.scaled}"

    def last_epoch(self, best_epoch: int) -> int:
        """The epoch after which a training is over, if ``best_epoch`` stays the best one."""
        if not self.patience:
            return self.epochs
        patience = self.patience
        if self.first_patience:
            patience = min(patience, best_epoch + self.first_patience)
        return min(best_epoch + patience, self.epochs)

    def to_json(self) -> dict[str, Any]:
        """Later settings are left out where they change nothing: keys stay what they were."""
        told: dict[str, Any] = Settings.to_json(self)
        for name, default in _LATER.items():
            if told[name] == default:
                del told[name]
        return told


_LATER = {
    each.name: each.default
    for each in fields(Training)
    if each.name
    in (
        "label_smoothing",
        "mixup",
        "average_weights",
        "class_weights",
        "loss",
        "scaled",
        "first_patience",
    )
}


class TrainingOptions(Table):
    """What of training may be searched, and what is fixed: see :class:`Training`.

    What is ``None`` follows from the data and the families.

    Attributes:
        device: Where trials are trained; ``"auto"`` takes a GPU where there is one.
        epochs: A range; ``None``: the fewer examples, the more, and fewer for pretrained weights.
        fine_tune_epochs: ``None``: as many as the shortest training.
        patience: ``None``: half of the epochs, and less where the best one came early.
        learning_rate: ``None``: for each optimiser its own range.
        sgd_learning_rate: Of SGD alone; ``None``: that of ``learning_rate`` where this is given.
        mixed_precision: ``"auto"`` tries it where the device gains by it.
        augmentation: The first is the baselines'; ``None``: images are shifted, turned and scaled.
        layer_decay: Asked for families whose blocks are known. The first is the baselines'.
        label_smoothing: The first is the baselines'.
        mixup: The first is the baselines'.
        average_weights: The first is the baselines'.
        class_weights: The first is the baselines'.
        loss: Of numbers. The first is the baselines'.
        adaptive: Whether batch size and rate are scaled up together for families whose examples
            cost this device clearly less in larger batches, or at all less where the grid is
            dirty; see ``batch_scaling.py``.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    epochs: Range[Epochs] | None = None
    fine_tune_epochs: Epochs | None = None
    patience: Choices[Annotated[int, Field(ge=0, strict=True)]] | None = None
    optimizer: Choices[Literal["adamw", "sgd"]] = ("adamw", "sgd")
    learning_rate: Range[Rate] | None = None
    sgd_learning_rate: Range[Rate] | None = None
    batch_size: Choices[Annotated[int, Field(ge=2, strict=True)]] = (32, 64, 128)
    mixed_precision: Literal["auto"] | Choices[bool] = "auto"
    augmentation: Choices[Augmentation] | None = None
    layer_decay: Choices[Annotated[float, Field(gt=0, le=1)]] = (1.0,)
    compile: Literal["never", "auto", "always"] = "never"
    label_smoothing: Choices[Annotated[float, Field(ge=0, lt=1)]] = (0.0,)
    mixup: Choices[Annotated[float, Field(ge=0, le=10)]] = (0.0,)
    average_weights: Choices[bool] = (False,)
    class_weights: Choices[Literal["none", "balanced"]] = ("none",)
    loss: Choices[Literal["mse", "huber"]] = ("mse",)
    adaptive: bool = False

    @field_serializer("epochs")
    def _one_number(self, epochs: tuple[int, int] | None) -> Any:
        # As studies have kept it that knew no ranges.
        return epochs[0] if epochs is not None and epochs[0] == epochs[1] else epochs

    def rates(self, optimizer: str) -> tuple[float, float]:
        """Lowest and highest learning rate of an optimiser."""
        own = self.sgd_learning_rate if optimizer == "sgd" else None
        return own or self.learning_rate or RATES[optimizer]

    @property
    def one_rate(self) -> bool:
        """Whether all optimisers share one range of rates."""
        return len({self.rates(each) for each in self.optimizer}) == 1


def epoch_range(options: TrainingOptions, scope: Scope) -> tuple[int, int]:
    """Fewest and most passes over the training split, of networks with random weights."""
    if options.epochs is not None:
        return options.epochs
    fewest = min(max(round(VISITS / max(scope.examples, 1)), FEWEST_EPOCHS), MOST_EPOCHS)
    return fewest, 4 * fewest


def tuning_epochs(options: TrainingOptions, scope: Scope) -> int:
    """Passes after a technique has changed a network."""
    return options.fine_tune_epochs or epoch_range(options, scope)[0]


class TrainingTechnique(Technique[Training, TrainingOptions]):
    """Training, which every network needs."""

    settings = Training
    options = TrainingOptions
    table = "training"
    order = 50
    later_keys = (
        "sgd_learning_rate",
        *(name for name in _LATER if name in TrainingOptions.model_fields),
        "adaptive",
    )

    def knobs(self, options: TrainingOptions, scope: Scope) -> Iterator[Knob]:
        """All that is searched of a training."""
        mixed = options.mixed_precision
        if mixed == "auto":
            mixed = (False, True) if scope.mixed_precision else (False,)
        yield _epochs_knob(options, scope)
        yield Categorical("optimizer", options.optimizer)
        for optimizer in options.optimizer[:1] if options.one_rate else options.optimizer:
            when = () if options.one_rate else (When("optimizer", (optimizer,)),)
            name, rates = _rate_name(optimizer, options), options.rates(optimizer)
            yield Real(name, *rates, log=True, when=when)
        yield Categorical("batch_size", options.batch_size)
        yield Categorical("mixed_precision", mixed)
        yield Categorical("patience", options.patience or (0,))
        yield Categorical("augmentation", _augmentations(options, scope))
        yield Categorical("label_smoothing", options.label_smoothing)
        yield Categorical("mixup", options.mixup)
        yield Categorical("average_weights", options.average_weights)
        yield Categorical("class_weights", options.class_weights)
        yield Categorical("loss", options.loss)
        layered = scope.asked_for(lambda family: family.layered)
        if layered is not None:
            yield Categorical("layer_decay", options.layer_decay, layered)

    def decode(self, point: Point, family: str, options: TrainingOptions, scope: Scope) -> Training:
        """A family without known blocks has one learning rate; a pretrained one is soon done."""
        built = scope.family(family)
        optimizer = str(point["optimizer"])
        epochs, tuning = int(point["epochs"]), tuning_epochs(options, scope)
        if options.epochs is None:
            epochs = max(1, math.ceil(epochs * built.effort))
        if options.fine_tune_epochs is None:
            tuning = max(1, math.ceil(tuning * built.effort))
        first, longest = 0, int(point["patience"])
        if options.patience is None:
            shares = (FIRST_PATIENCE_SHARE, PATIENCE_SHARE)
            first, longest = (max(LEAST_PATIENCE, round(share * epochs)) for share in shares)
            first = first if scope.defaults > 2 else 0
        scale = scope.batch_scales.get(family, 1) if options.adaptive else 1
        rate = float(point[_rate_name(optimizer, options)])
        return Training(
            optimizer=optimizer,
            learning_rate=rate * rate_factor(optimizer, scale),
            batch_size=scale * int(point["batch_size"]),
            mixed_precision=bool(point["mixed_precision"]),
            epochs=epochs,
            patience=longest,
            first_patience=first,
            fine_tune_epochs=tuning,
            augmentation=str(point["augmentation"]),
            layer_decay=float(point["layer_decay"]) if built.layered else 1.0,
            compile=options.compile,
            label_smoothing=float(point["label_smoothing"]),
            mixup=float(point["mixup"]),
            average_weights=bool(point["average_weights"]),
            class_weights=str(point["class_weights"]),
            loss=str(point["loss"]),
            scaled=scale,
        )

    def baseline(self, options: TrainingOptions, scope: Scope) -> Mapping[str, Value]:
        """What is usual, as far as it is on offer."""
        mixed = options.mixed_precision
        wished = USUAL_SHARE * epoch_range(options, scope)[1]
        epochs = _epochs_knob(options, scope).values()
        return {
            "epochs": min(epochs, key=lambda number: abs(float(number) - wished)),
            "optimizer": options.optimizer[0],
            # Where they share one rate, it is that of the first.
            **{
                _rate_name(each, options): _usual_rate(each, options)
                for each in reversed(options.optimizer)
            },
            "batch_size": min(options.batch_size, key=lambda size: abs(size - USUAL_BATCH)),
            "mixed_precision": False if mixed == "auto" else min(mixed),
            "patience": options.patience[0] if options.patience else 0,
            "augmentation": _augmentations(options, scope)[0],
            "label_smoothing": options.label_smoothing[0],
            "mixup": options.mixup[0],
            "average_weights": options.average_weights[0],
            "class_weights": options.class_weights[0],
            "loss": options.loss[0],
            "layer_decay": options.layer_decay[0],
        }

    def opening(self, options: TrainingOptions, scope: Scope, knobs: Mapping[str, Knob]) -> Opening:
        """Another optimiser, rate and batch size wherever a network is trained anyway."""
        wanted = ["optimizer", "learning_rate", "sgd_learning_rate", "batch_size"]
        return Opening(varied=[name for name in wanted if name in knobs])

    def looser(self, point: Point, around: Surroundings) -> Point:
        """A longer training."""
        if "epochs" not in point:
            return {}
        epochs = neighbour(around.knobs["epochs"], point["epochs"], higher=True)
        return {} if epochs is None else {"epochs": epochs}

    def objection(self, options: TrainingOptions, scope: Scope) -> str | None:
        """Only images are augmented, texts are not mixed, and classes are no numbers."""
        asked = options.augmentation or ("none",)
        if asked != ("none",) and scope.inputs != "images":
            return (
                f"augmentation: {', '.join(map(repr, asked))} moves images, but task "
                f"{scope.task!r} has {scope.inputs}: leave the key out"
            )
        if any(options.mixup) and scope.inputs == "texts":
            return f"mixup: texts cannot be mixed, and task {scope.task!r} has such: leave it out"
        return _target_objection(options, scope)


def _target_objection(options: TrainingOptions, scope: Scope) -> str | None:
    """Some keys are of classes, one is of numbers."""
    of_classes = {
        "class_weights": options.class_weights != ("none",),
        "label_smoothing": any(options.label_smoothing),
    }
    given = of_classes if scope.regression else {"loss": options.loss != ("mse",)}
    key = next((key for key, is_given in given.items() if is_given), None)
    if key is None:
        return None
    other, target = ("classes", "a number") if scope.regression else ("numbers", "classes")
    return f"{key}: it is for {other}, but the target of {scope.task!r} is {target}: leave it out"


def _epochs_knob(options: TrainingOptions, scope: Scope) -> Integer:
    """In four steps or a few more: equal trainings are shared, those of nearly one length not."""
    low, high = epoch_range(options, scope)
    span = high - low
    step = next((size for size in range(max(1, span // 3), 1, -1) if span % size == 0), 1)
    return Integer("epochs", low, high, step)


def _rate_name(optimizer: str, options: TrainingOptions) -> str:
    own = optimizer == "sgd" and not options.one_rate
    return "sgd_learning_rate" if own else "learning_rate"


def _usual_rate(optimizer: str, options: TrainingOptions) -> float:
    low, high = options.rates(optimizer)
    shared = options.learning_rate is not None and options.sgd_learning_rate is None
    usual = USUAL_RATES["adamw" if shared else optimizer]
    # The square root may lie a rounding error outside a range of one value.
    return usual if low <= usual <= high else min(max(math.sqrt(low * high), low), high)


def _augmentations(options: TrainingOptions, scope: Scope) -> tuple[str, ...]:
    if options.augmentation is not None:
        return options.augmentation
    return ("affine",) if scope.inputs == "images" else ("none",)


TECHNIQUE = TrainingTechnique()

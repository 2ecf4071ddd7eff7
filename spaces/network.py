"""The conditional space of networks: families, their shapes, compression and training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import (
    ArchitectureChoice,
    Candidate,
    Distillation,
    Placement,
    Precision,
    Pruning,
    Training,
)
from greenfront.spaces.knobs import Categorical, Knob, Point, Real, Value, When
from greenfront.spaces.space import SearchSpace

__all__ = ["NetworkOptions", "baseline_candidates", "first_generation", "network_space"]

PRUNING_STEP = 0.05
"""Finer ratios round to the same number of channels in small networks."""


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """What a study lets the search choose from. A range of one value is fixed, not asked.

    Attributes:
        architectures: Family names.
        pruning: Lowest and highest structured pruning ratio.
        bits: Bit-widths.
        temperature: Lowest and highest distillation temperature; ``None``: never distil.
        distillation_weight: Lowest and highest share of the soft loss.
        optimizers: Optimiser names.
        learning_rate: Lowest and highest peak rate, searched in the logarithm.
        batch_sizes: Examples a step.
        mixed_precision: Settings to try; only ``False`` where the device gains nothing by it.
        patience: Epochs without progress before a training ends.
        epochs: At most so many passes over the training split.
        fine_tune_epochs: Passes after pruning.
        device: Where trials are trained.
    """

    architectures: tuple[str, ...]
    pruning: tuple[float, float] = (0.0, 0.8)
    bits: tuple[int, ...] = (32, 16, 8)
    temperature: tuple[float, float] | None = (1.0, 8.0)
    distillation_weight: tuple[float, float] = (0.5, 0.9)
    optimizers: tuple[str, ...] = ("adamw", "sgd")
    learning_rate: tuple[float, float] = (1e-3, 3e-2)
    batch_sizes: tuple[int, ...] = (32, 64, 128)
    mixed_precision: tuple[bool, ...] = (False,)
    patience: tuple[int, ...] = (3,)
    epochs: int = 10
    fine_tune_epochs: int = 5
    device: str = "cpu"


def network_space(options: NetworkOptions) -> SearchSpace[Candidate]:
    """The conditional space that ``options`` describe; knobs with one setting are not asked."""
    return SearchSpace(tuple(_knobs(options)), decode=_decoder(options))


def _knobs(options: NetworkOptions) -> Iterator[Knob]:
    several = len(options.architectures) > 1
    if several:
        yield Categorical("architecture", options.architectures)
    for family in options.architectures:
        chosen = (When("architecture", (family,)),) if several else ()
        for knob in architecture(family).knobs():
            inner = tuple(When(f"{family}.{when.knob}", when.values) for when in knob.when)
            yield replace(knob, name=f"{family}.{knob.name}", when=(*chosen, *inner))
    candidates: list[Knob] = [
        Real("pruning", *options.pruning, step=PRUNING_STEP),
        Categorical("bits", options.bits),
    ]
    if options.temperature:
        distilled = (When("distillation", (True,)),)
        candidates += [
            Categorical("distillation", (False, True)),
            Real("temperature", *options.temperature, step=0.5, when=distilled),
            Real("distillation_weight", *options.distillation_weight, step=0.1, when=distilled),
        ]
    candidates += [
        Categorical("optimizer", options.optimizers),
        Real("learning_rate", *options.learning_rate, log=True),
        Categorical("batch_size", options.batch_sizes),
        Categorical("mixed_precision", options.mixed_precision),
        Categorical("patience", options.patience),
    ]
    yield from (knob for knob in candidates if knob.count() != 1)


def _decoder(options: NetworkOptions) -> Callable[[Point], Candidate]:
    fixed: dict[str, Value] = {
        "architecture": options.architectures[0],
        "pruning": options.pruning[0],
        "bits": options.bits[0],
        "distillation": False,
        "distillation_weight": options.distillation_weight[0],
        "optimizer": options.optimizers[0],
        "learning_rate": options.learning_rate[0],
        "batch_size": options.batch_sizes[0],
        "mixed_precision": options.mixed_precision[0],
        "patience": options.patience[0],
    }
    if options.temperature:
        fixed["temperature"] = options.temperature[0]

    def decode(point: Point) -> Candidate:
        settings = {**fixed, **point}
        family = str(settings["architecture"])
        prefix = f"{family}."
        shape = {k.removeprefix(prefix): v for k, v in point.items() if k.startswith(prefix)}
        return Candidate(
            architecture=ArchitectureChoice(family, tuple(sorted(shape.items()))),
            training=Training(
                optimizer=str(settings["optimizer"]),
                learning_rate=float(settings["learning_rate"]),
                batch_size=int(settings["batch_size"]),
                mixed_precision=bool(settings["mixed_precision"]),
                epochs=options.epochs,
                patience=int(settings["patience"]),
                fine_tune_epochs=options.fine_tune_epochs,
            ),
            pruning=Pruning(float(settings["pruning"])),
            precision=Precision(int(settings["bits"])),
            distillation=Distillation(
                float(settings["temperature"]), float(settings["distillation_weight"])
            )
            if settings["distillation"]
            else None,
            placement=Placement(options.device),
        )

    return decode


def _baseline_points(options: NetworkOptions) -> list[dict[str, Value]]:
    """Each family's usual shape with usual training and no technique."""
    low, high = options.learning_rate
    # The square root may lie a rounding error outside a range of one value.
    rate = 3e-3 if low <= 3e-3 <= high else min(max(math.sqrt(low * high), low), high)
    usual: dict[str, Value] = {
        "pruning": 0.0,
        "bits": 32,
        "distillation": False,
        "optimizer": options.optimizers[0],
        "learning_rate": rate,
        "batch_size": min(options.batch_sizes, key=lambda size: abs(size - 64)),
        "mixed_precision": min(options.mixed_precision),
        "patience": options.patience[0],
    }
    return [
        {
            **usual,
            "architecture": family,
            **{f"{family}.{k}": v for k, v in architecture(family).baseline().items()},
        }
        for family in options.architectures
    ]


def baseline_candidates(options: NetworkOptions) -> list[Candidate]:
    """Each family's untouched baseline, whether or not the space contains it."""
    decode = _decoder(options)
    return [decode(point) for point in _baseline_points(options)]


def _nearest(knob: Knob, wish: float) -> Value:
    return min(knob.values(), key=lambda value: abs(float(value) - wish))


def first_generation(
    options: NetworkOptions, space: SearchSpace[Candidate], seed: int
) -> list[Mapping[str, Value]]:
    """Where a search begins: baselines, each technique alone, then together.

    Wishes that the space does not contain (a bit-width that is not offered, a technique that is
    switched off) are dropped, and so are points that then decode to the same candidate.

    Args:
        options: What may be chosen.
        space: The space of those options.
        seed: For the knobs that no wish settles.

    Returns:
        Whole points of ``space``: all baselines first, then technique by technique.
    """
    rng = np.random.default_rng(seed)
    names = {knob.name for knob in space.knobs}
    prune: dict[str, Value] = {}
    mild: dict[str, Value] = {}
    if "pruning" in names:
        prune = {"pruning": _nearest(space.knob("pruning"), 0.5)}
        mild = {"pruning": _nearest(space.knob("pruning"), 0.3)}
    int8: dict[str, Value] = {"bits": 8} if 8 in options.bits else {}
    half: dict[str, Value] = {"bits": 16} if 16 in options.bits else {}
    distil: dict[str, Value] = {}
    if "distillation" in names:
        distil = {"distillation": True, "distillation_weight": options.distillation_weight[0]}
        if "temperature" in names:
            distil["temperature"] = _nearest(space.knob("temperature"), 4.0)
    techniques: list[dict[str, Value]] = [
        {},
        prune,
        int8,
        half,
        distil,
        {**prune, **int8},
        {**prune, **int8, **distil},
        {**mild, **int8, **distil},
    ]
    points: dict[str, Mapping[str, Value]] = {}
    for technique in techniques:
        for baseline in _baseline_points(options):
            point = space.complete({**baseline, **technique}, rng)
            points.setdefault(space.decode(point).key, point)
    return list(points.values())

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

MOST_BITS_TUNED = 8
"""Half floats round too little for tuning to mend anything."""

PRUNING_STEP = 0.05
"""Finer ratios round to the same number of channels in small networks."""


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """What a study lets the search choose from. A range of one value is fixed, not asked.

    Attributes:
        architectures: Family names.
        pruning: Lowest and highest structured pruning ratio.
        pruning_scopes: See :class:`Pruning`.
        importances: See :class:`Pruning`.
        gradual: Whether to prune at once, in steps, or either.
        sparsity: Lowest and highest share of zeros among the weights that are left.
        bits: Bit-widths.
        quantization_aware: Whether to tune networks of 8 and fewer bits with rounded weights.
        int8_pays: Families that int8 kernels make cheaper here; 8 bits of the others are packed
            weights.
        temperature: Lowest and highest distillation temperature; ``None``: never distil.
        distillation_weight: Lowest and highest share of the soft loss.
        hidden_weight: Lowest and highest weight of a teacher's hidden states.
        optimizers: Optimiser names.
        learning_rate: Lowest and highest peak rate, searched in the logarithm.
        batch_sizes: Examples a step.
        mixed_precision: Settings to try; only ``False`` where the device gains nothing by it.
        patience: Epochs without progress before a training ends.
        epochs: At most so many passes over the training split.
        fine_tune_epochs: Passes after pruning.
        augmentations: See :class:`Training`; the first is the baselines'.
        layer_decays: See :class:`Training`; asked for families whose blocks are known. The first is
            the baselines'.
        compile: See :class:`Training`.
        device: Where trials are trained.
    """

    architectures: tuple[str, ...]
    pruning: tuple[float, float] = (0.0, 0.8)
    pruning_scopes: tuple[str, ...] = ("uniform",)
    importances: tuple[str, ...] = ("magnitude",)
    gradual: tuple[bool, ...] = (False,)
    sparsity: tuple[float, float] = (0.0, 0.0)
    bits: tuple[int, ...] = (32, 16, 8)
    quantization_aware: tuple[bool, ...] = (False,)
    int8_pays: frozenset[str] = frozenset()
    temperature: tuple[float, float] | None = (1.0, 8.0)
    distillation_weight: tuple[float, float] = (0.5, 0.9)
    hidden_weight: tuple[float, float] = (0.0, 0.0)
    optimizers: tuple[str, ...] = ("adamw", "sgd")
    learning_rate: tuple[float, float] = (1e-3, 3e-2)
    batch_sizes: tuple[int, ...] = (32, 64, 128)
    mixed_precision: tuple[bool, ...] = (False,)
    patience: tuple[int, ...] = (3,)
    epochs: int = 10
    fine_tune_epochs: int = 5
    augmentations: tuple[str, ...] = ("none",)
    layer_decays: tuple[float, ...] = (1.0,)
    compile: str = "never"
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
    prunable = tuple(n for n in options.architectures if architecture(n).cannot_prune is None)
    pruned = (When("architecture", prunable),) if len(prunable) < len(options.architectures) else ()
    few_bits = tuple(bits for bits in options.bits if bits <= MOST_BITS_TUNED)
    candidates: list[Knob] = []
    if prunable:
        candidates += [
            Real("pruning", *options.pruning, step=PRUNING_STEP, when=pruned),
            Categorical("pruning_scope", options.pruning_scopes, when=pruned),
            Categorical("importance", options.importances, when=pruned),
            Categorical("gradual", options.gradual, when=pruned),
        ]
    candidates += [
        Real("sparsity", *options.sparsity, step=PRUNING_STEP),
        Categorical("bits", options.bits),
    ]
    if few_bits:
        tuned = (When("bits", few_bits),) if len(options.bits) > 1 else ()
        candidates.append(Categorical("quantization_aware", options.quantization_aware, when=tuned))
    if options.temperature:
        distilled = (When("distillation", (True,)),)
        candidates += [
            Categorical("distillation", (False, True)),
            Real("temperature", *options.temperature, step=0.5, when=distilled),
            Real("distillation_weight", *options.distillation_weight, step=0.1, when=distilled),
            Real("hidden_weight", *options.hidden_weight, step=0.1, when=distilled),
        ]
    candidates += [
        Categorical("optimizer", options.optimizers),
        Real("learning_rate", *options.learning_rate, log=True),
        Categorical("batch_size", options.batch_sizes),
        Categorical("mixed_precision", options.mixed_precision),
        Categorical("patience", options.patience),
        Categorical("augmentation", options.augmentations),
    ]
    layered = tuple(name for name in options.architectures if architecture(name).layered)
    if layered:
        some = len(layered) < len(options.architectures)
        known = (When("architecture", layered),) if some else ()
        candidates.append(Categorical("layer_decay", options.layer_decays, when=known))
    yield from (knob for knob in candidates if knob.count() != 1)


def _decoder(options: NetworkOptions) -> Callable[[Point], Candidate]:
    fixed: dict[str, Value] = {
        "architecture": options.architectures[0],
        "pruning": options.pruning[0],
        "pruning_scope": options.pruning_scopes[0],
        "importance": options.importances[0],
        "gradual": options.gradual[0],
        "sparsity": options.sparsity[0],
        "bits": options.bits[0],
        "quantization_aware": options.quantization_aware[0],
        "distillation": False,
        "distillation_weight": options.distillation_weight[0],
        "hidden_weight": options.hidden_weight[0],
        "optimizer": options.optimizers[0],
        "learning_rate": options.learning_rate[0],
        "batch_size": options.batch_sizes[0],
        "mixed_precision": options.mixed_precision[0],
        "patience": options.patience[0],
        "augmentation": options.augmentations[0],
        "layer_decay": options.layer_decays[0],
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
                augmentation=str(settings["augmentation"]),
                # Equal networks get equal candidates.
                layer_decay=float(settings["layer_decay"]) if architecture(family).layered else 1.0,
                compile=options.compile,
            ),
            pruning=_pruning(settings, family, options.fine_tune_epochs),
            precision=_precision(settings, family in options.int8_pays),
            distillation=Distillation(
                float(settings["temperature"]),
                float(settings["distillation_weight"]),
                float(settings["hidden_weight"]),
            )
            if settings["distillation"]
            else None,
            placement=Placement(options.device),
            sparsity=float(settings["sparsity"]),
        )

    return decode


def _pruning(settings: Mapping[str, Value], family: str, fine_tune_epochs: int) -> Pruning:
    """Without a ratio nothing else of it matters: equal networks get equal candidates."""
    ratio = float(settings["pruning"])
    if ratio == 0.0 or architecture(family).cannot_prune is not None:
        return Pruning()
    pruning = Pruning(
        ratio,
        str(settings["pruning_scope"]),
        str(settings["importance"]),
        bool(settings["gradual"]),
    )
    return replace(pruning, gradual=pruning.steps(fine_tune_epochs) > 1)


def _precision(settings: Mapping[str, Value], int8_pays: bool) -> Precision:
    bits = int(settings["bits"])
    return Precision(
        bits,
        weight_only=bits == 8 and not int8_pays,
        quantization_aware=bits <= MOST_BITS_TUNED and bool(settings["quantization_aware"]),
    )


def _baseline_points(options: NetworkOptions) -> list[dict[str, Value]]:
    """Each family's usual shape with usual training and no technique."""
    low, high = options.learning_rate
    # The square root may lie a rounding error outside a range of one value.
    rate = 3e-3 if low <= 3e-3 <= high else min(max(math.sqrt(low * high), low), high)
    usual: dict[str, Value] = {
        "pruning": 0.0,
        "pruning_scope": options.pruning_scopes[0],
        "importance": options.importances[0],
        "gradual": min(options.gradual),
        "sparsity": 0.0,
        "bits": 32,
        "quantization_aware": min(options.quantization_aware),
        "distillation": False,
        "optimizer": options.optimizers[0],
        "learning_rate": rate,
        "batch_size": min(options.batch_sizes, key=lambda size: abs(size - 64)),
        "mixed_precision": min(options.mixed_precision),
        "patience": options.patience[0],
        "augmentation": options.augmentations[0],
        "layer_decay": options.layer_decays[0],
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

    A smaller shape of the family counts as a technique.

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
    zeros: dict[str, Value] = {}
    if "sparsity" in names:
        zeros = {"sparsity": _nearest(space.knob("sparsity"), 0.5)}
    int8: dict[str, Value] = {"bits": 8} if 8 in options.bits else {}
    half: dict[str, Value] = {"bits": 16} if 16 in options.bits else {}
    packed: dict[str, Value] = {"bits": 4} if 4 in options.bits else {}
    if packed and "quantization_aware" in names:
        packed["quantization_aware"] = True
    distil: dict[str, Value] = {}
    if "distillation" in names:
        distil = {"distillation": True, "distillation_weight": options.distillation_weight[0]}
        if "temperature" in names:
            distil["temperature"] = _nearest(space.knob("temperature"), 4.0)
    techniques: list[tuple[bool, dict[str, Value]]] = [
        (False, {}),
        (False, prune),
        (False, int8),
        (False, half),
        (False, packed),
        (False, zeros),
        (False, distil),
        (True, {}),
        (True, int8),
        (False, {**prune, **int8}),
        (False, {**prune, **int8, **distil}),
        (True, {**int8, **distil}),
        (False, {**mild, **int8, **distil}),
        (True, {**mild, **distil}),
    ]
    points: dict[str, Mapping[str, Value]] = {}
    for is_smaller, technique in techniques:
        for family, baseline in zip(options.architectures, _baseline_points(options), strict=True):
            settings = architecture(family).smaller() if is_smaller else {}
            shape = {f"{family}.{name}": value for name, value in settings.items()}
            point = space.complete({**baseline, **shape, **technique}, rng)
            points.setdefault(space.decode(point).key, point)
    return list(points.values())

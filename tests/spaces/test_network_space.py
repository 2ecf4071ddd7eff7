from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from contracts.options import changed_options, network_options, untouched
from greenfront.errors import UsageError
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.knobs import Value
from greenfront.spaces.network_space import (
    baseline_candidates,
    first_generation,
    network_space,
)
from greenfront.spaces.options import NetworkOptions
from greenfront.spaces.space import SearchSpace
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning

FAMILIES = ("mlp", "cnn")
OPTIONS = network_options(*FAMILIES, temperature=(1.0, 8.0))
FIXED = network_options(
    "mlp",
    pruning=(0.3, 0.3),
    bits=(8,),
    temperature=None,
    optimizer=("sgd",),
    learning_rate=(7e-3, 7e-3),
    augmentation=("none",),
    batch_size=(32,),
    mixed_precision=(True,),
    patience=(5,),
    epochs=4,
    fine_tune_epochs=2,
    device="cuda",
)

Generation = list[Mapping[str, Value]]
Techniques = tuple[bool, int, bool]


def begin(options: NetworkOptions, seed: int = 0) -> tuple[SearchSpace[Candidate], Generation]:
    space = network_space(options)
    return space, first_generation(options, space, seed)


def decoded(options: NetworkOptions, seed: int = 0) -> list[Candidate]:
    space, points = begin(options, seed)
    return [space.decode(point) for point in points]


def techniques(candidate: Candidate) -> Techniques:
    """Pruned or not, bits, distilled or not."""
    return (
        candidate.pruning.ratio > 0,
        candidate.precision.bits,
        candidate.distillation is not None,
    )


# --- the space ---------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_a_candidate_has_the_shape_of_its_family_alone(seed: int) -> None:
    space = network_space(OPTIONS)
    point = space.sample(np.random.default_rng(seed))
    candidate = space.decode(point)
    family = architecture(candidate.architecture.family)
    assert {name.split(".")[0] for name in point if "." in name} == {family.name}
    shape = dict(candidate.architecture.shape)
    inner = SearchSpace(family.knobs(), decode=lambda point: candidate)
    assert inner.complete(shape, np.random.default_rng(0)) == shape
    assert candidate.architecture.shape == tuple(sorted(shape.items()))
    assert Candidate.from_json(candidate.to_json()) == candidate


@given(st.integers(0, 2**32 - 1))
def test_every_setting_reaches_the_candidate(seed: int) -> None:
    options = changed_options(
        OPTIONS, mixed_precision=(False, True), patience=(2, 3), epochs=17, fine_tune_epochs=6
    )
    space = network_space(options)
    point = space.sample(np.random.default_rng(seed))
    candidate = space.decode(point)
    training = candidate.training
    assert candidate.architecture.family == point["architecture"]
    assert candidate.pruning.ratio == point["pruning"]
    assert candidate.precision.bits == point["bits"]
    assert candidate.distillation == (
        Distillation(point["temperature"], point["distillation_weight"])  # type: ignore[arg-type]
        if point["distillation"]
        else None
    )
    for name in ("optimizer", "batch_size", "mixed_precision", "patience"):
        assert getattr(training, name) == point[name]
    rate = "learning_rate" if training.optimizer == "adamw" else "sgd_learning_rate"
    assert training.learning_rate == point[rate]
    assert ("learning_rate" in point) != ("sgd_learning_rate" in point)
    assert (training.epochs, training.fine_tune_epochs) == (17, 6)
    assert candidate.placement.device == "cpu"


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_equal_points_and_only_they_are_equal_candidates(seed: int, other: int) -> None:
    space = network_space(OPTIONS)
    one, two = (space.sample(np.random.default_rng(s)) for s in (seed, other))
    assert (space.decode(one).key == space.decode(two).key) == (one == two)


def test_everything_on_offer_can_be_drawn() -> None:
    space = network_space(OPTIONS)
    rng = np.random.default_rng(0)
    drawn = [space.decode(space.sample(rng)) for _ in range(300)]
    assert {c.architecture.family for c in drawn} == set(FAMILIES)
    assert {c.precision.bits for c in drawn} == {32, 16, 8}
    assert {c.training.optimizer for c in drawn} == {"adamw", "sgd"}
    assert {c.training.batch_size for c in drawn} == {32, 64, 128}
    assert {c.distillation is None for c in drawn} == {True, False}
    assert min(c.pruning.ratio for c in drawn) == 0.0
    assert max(c.pruning.ratio for c in drawn) == 0.8
    heat = [c.distillation.temperature for c in drawn if c.distillation]
    assert (min(heat), max(heat)) == (1.0, 8.0)


def test_the_size_of_a_space_without_a_continuum() -> None:
    options = changed_options(
        FIXED,
        temperature=(1.0, 2.0),
        distillation_weight=(0.5, 0.6),
        bits=(32, 8),
        pruning=(0, 0.1),
    )
    mlps = 5 + 5**2 + 5**3
    assert network_space(options).size() == mlps * 3 * 2 * (1 + 3 * 2)
    assert network_space(OPTIONS).size() is None  # the learning rate


# --- options that leave no choice --------------------------------------------------------------


def test_what_has_one_setting_is_not_asked_and_keeps_it() -> None:
    space = network_space(FIXED)
    assert {knob.name.split(".")[0] for knob in space.knobs} == {"mlp"}
    candidate = space.decode({"mlp.depth": 1, "mlp.width_1": 16})
    assert candidate.to_json() == {
        "architecture": {"family": "mlp", "shape": {"depth": 1, "width_1": 16}},
        "training": {
            "optimizer": "sgd",
            "learning_rate": 7e-3,
            "batch_size": 32,
            "mixed_precision": True,
            "epochs": 4,
            "patience": 5,
            "fine_tune_epochs": 2,
            **{"augmentation": "none", "layer_decay": 1.0, "compile": "never"},
        },
        "pruning": {
            **{"ratio": 0.3, "scope": "uniform", "importance": "magnitude", "gradual": False}
        },
        # No family is known to gain by int8 kernels: its weights are packed.
        "precision": {"bits": 8, "weight_only": True, "quantization_aware": False},
        "distillation": None,
        "placement": {"device": "cuda"},
        "sparsity": 0.0,
    }


def test_a_fixed_temperature_is_not_asked_but_used() -> None:
    options = changed_options(OPTIONS, temperature=(4.0, 4.0), distillation_weight=(0.7, 0.7))
    space = network_space(options)
    names = {knob.name for knob in space.knobs}
    assert "distillation" in names
    assert not names & {"temperature", "distillation_weight"}
    point = space.complete({"distillation": True}, np.random.default_rng(0))
    assert space.decode(point).distillation == Distillation(4.0, 0.7)


def test_without_a_temperature_nothing_is_distilled() -> None:
    space = network_space(changed_options(OPTIONS, temperature=None))
    names = {knob.name for knob in space.knobs}
    assert not names & {"distillation", "temperature", "distillation_weight"}
    assert space.decode(space.sample(np.random.default_rng(0))).distillation is None


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UsageError, match="'resnet' is unknown"):
        network_space(network_options("mlp", "resnet"))


# --- baselines and the first generation --------------------------------------------------------

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "one family": {"families": ("cnn",)},
    "no pruning": {"pruning": (0.0, 0.0)},
    "32 bits": {"bits": (32,)},
    "no int8": {"bits": (32, 16)},
    "no teacher": {"temperature": None},
    "one temperature": {"temperature": (3.0, 3.0)},
    "shallow pruning": {"pruning": (0.0, 0.3)},
    "other batches": {"batch_size": (16, 48, 256)},
    "other rates": {"learning_rate": (7e-3, 9e-3)},
    "one rate": {"learning_rate": (7e-3, 7e-3)},
    "mixed precision": {"mixed_precision": (True, False)},
    "only mixed precision": {"mixed_precision": (True,)},
    "patience": {"patience": (5, 1)},
    "sgd": {"optimizer": ("sgd",)},
}


@pytest.fixture(params=VARIANTS.values(), ids=list(VARIANTS))
def options(request: pytest.FixtureRequest) -> NetworkOptions:
    return changed_options(OPTIONS, **request.param)


def test_baselines_are_the_usual_networks_untouched() -> None:
    candidates = baseline_candidates(OPTIONS)
    assert [c.architecture.family for c in candidates] == list(FAMILIES)
    for candidate in candidates:
        family = architecture(candidate.architecture.family)
        assert dict(candidate.architecture.shape) == family.baseline()
        assert candidate.untouched
        assert candidate.training.learning_rate == 3e-3
        assert candidate.training.batch_size == 64


def test_a_baseline_is_untouched_even_where_the_space_has_no_such_thing() -> None:
    (baseline,) = baseline_candidates(FIXED)
    assert baseline.untouched
    assert baseline.training.learning_rate == 7e-3
    assert baseline.placement.device == "cuda"


def test_the_baselines_come_first(options: NetworkOptions) -> None:
    baselines = baseline_candidates(options)
    assert decoded(options)[: len(baselines)] == baselines


def test_every_point_is_whole_and_none_comes_twice(options: NetworkOptions) -> None:
    space, points = begin(options)
    for point in points:
        assert space.complete(point, np.random.default_rng(1)) == point
        assert space.suggest(FixedTrial(dict(point))) == space.decode(point)  # type: ignore[arg-type]
    assert len({space.decode(point).key for point in points}) == len(points)


def test_the_same_seed_gives_the_same_generation(options: NetworkOptions) -> None:
    assert begin(options, seed=5)[1] == begin(options, seed=5)[1]


def test_each_technique_alone_and_then_together(options: NetworkOptions) -> None:
    prunes, distils = options.space.pruning[1] > 0, options.space.temperature is not None
    stages: list[Techniques] = [(False, 32, False)]
    stages += [(True, 32, False)] if prunes else []
    stages += [(False, bits, False) for bits in (8, 16) if bits in options.space.bits]
    stages += [(False, 32, True)] if distils else []
    least = 8 if 8 in options.space.bits else 32
    together = [(prunes, least, False), (prunes, least, distils)]
    stages = list(dict.fromkeys([*stages, *together]))

    baselines = baseline_candidates(options)
    for baseline in baselines:
        members = [c for c in decoded(options) if c.architecture == baseline.architecture]
        if baseline == baselines[-1]:
            assert list(dict.fromkeys(map(techniques, members))) == stages
        assert set(map(techniques, members)) == set(stages)
        # Each technique alone differs from the baseline in nothing else: it shares its training.
        alone = [c for c in members if sum(techniques(c)[::2]) + (techniques(c)[1] < 32) < 2]
        assert {untouched(member).key for member in alone} == {baseline.key}


def test_what_is_trained_anew_has_a_training_of_its_own() -> None:
    for seed in range(5):
        candidates = decoded(OPTIONS, seed)
        small = [
            c for c in candidates if c.architecture not in {b.architecture for b in candidates[:2]}
        ]
        rates = [c.training.learning_rate for c in small]
        assert len(set(rates)) == len(rates) >= 6
        for values in (
            {c.training.optimizer for c in small},
            {c.training.batch_size for c in small},
        ):
            assert len(values) >= 2
        # The first few lie apart, too: a short search takes only these.
        assert len({(c.training.optimizer, c.training.batch_size) for c in small[:4]}) >= 3


def test_a_script_begins_on_the_most_capable_family() -> None:
    families = [c.architecture.family for c in decoded(OPTIONS)]
    assert families[:2] == ["mlp", "cnn"]
    first_other = families.index("mlp", 2)
    assert set(families[2:first_other]) == {"cnn"}
    assert first_other > 8


def test_a_smaller_shape_is_a_technique(options: NetworkOptions) -> None:
    for baseline in baseline_candidates(options):
        family = baseline.architecture.family
        shape = dict(baseline.architecture.shape) | dict(architecture(family).smaller())
        smaller = [c for c in decoded(options) if dict(c.architecture.shape) == shape]
        assert shape != dict(baseline.architecture.shape)
        plain = [c for c in smaller if c.pruning.ratio == options.space.pruning[0]]
        assert {c.precision.bits for c in plain} >= ({32, 8} & set(options.space.bits))
        if options.space.temperature is not None:
            assert any(c.distillation for c in smaller)


def test_ratios_and_temperatures_are_the_middle_ones_on_offer() -> None:
    candidates = decoded(OPTIONS)
    ratios = {c.pruning.ratio for c in candidates}
    assert ratios == {0.0, 0.3, 0.5}
    assert {c.distillation for c in candidates if c.distillation} == {Distillation(4.0, 0.5)}
    shallow = decoded(changed_options(OPTIONS, pruning=(0.0, 0.2), temperature=(1.0, 2.0)))
    assert {c.pruning.ratio for c in shallow} == {0.0, 0.2}
    assert {c.distillation.temperature for c in shallow if c.distillation} == {2.0}


def test_wishes_that_the_space_lacks_are_dropped() -> None:
    for candidate in decoded(changed_options(OPTIONS, pruning=(0.4, 0.6), bits=(16, 8))):
        assert 0.4 <= candidate.pruning.ratio <= 0.6
        assert candidate.precision.bits in {16, 8}


def test_what_cannot_be_pruned_is_not_asked_about_pruning() -> None:
    space = network_space(changed_options(OPTIONS, families=("mlp", "timm:mixer_s16_224")))
    rng = np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(60)]
    mixers = [p for p in points if p["architecture"] == "timm:mixer_s16_224"]
    assert 0 < len(mixers) < len(points)
    assert not any("pruning" in point for point in mixers)
    assert all("pruning" in point for point in points if point not in mixers)
    assert all(space.decode(point).pruning == Pruning() for point in mixers)


def test_without_a_ratio_the_way_of_pruning_makes_no_difference() -> None:
    options = changed_options(
        OPTIONS, importance=("magnitude", "taylor"), pruning_scope=("uniform", "global")
    )
    space = network_space(options)
    point = space.complete(
        {"pruning": 0.0, "importance": "taylor", "pruning_scope": "global"},
        np.random.default_rng(0),
    )
    assert space.decode(point).pruning == Pruning()
    deep = space.decode({**point, "pruning": 0.5}).pruning
    assert deep == Pruning(0.5, "global", "taylor")


@pytest.mark.parametrize(
    ("pays", "weight_only"), [(frozenset({"mlp"}), False), (frozenset(), True)]
)
def test_eight_bits_are_kernels_only_where_they_pay(
    pays: frozenset[str], weight_only: bool
) -> None:
    space = network_space(changed_options(FIXED, int8_pays=pays))
    candidate = space.decode({"mlp.depth": 1, "mlp.width_1": 16})
    assert candidate.precision == Precision(8, weight_only=weight_only)


@pytest.mark.parametrize(("device", "bits"), [("cpu", 8), ("cuda", 16)])
def test_combinations_are_of_the_bits_that_are_computed_there(device: str, bits: int) -> None:
    options = changed_options(FIXED, bits=(32, 16, 8), pruning=(0.0, 0.5), measured_on=device)
    _, points = begin(options)
    together = {point["bits"] for point in points if point["pruning"] == 0.5}
    assert together == {32, bits}
    alone = [point["bits"] for point in points if point["pruning"] == 0.0]
    assert alone[:2] == [32, bits]


def test_tuning_with_rounded_weights_is_asked_for_few_bits_only() -> None:
    space = network_space(changed_options(OPTIONS, bits=(32, 4), quantization_aware=(False, True)))
    rng = np.random.default_rng(0)
    for bits in (32, 4):
        point = space.complete({"bits": bits, "quantization_aware": True}, rng)
        assert ("quantization_aware" in point) == (bits == 4)
        assert space.decode(point).precision == Precision(bits, quantization_aware=bits == 4)

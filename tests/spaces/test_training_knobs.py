from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from contracts.options import changed_options, network_options
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.network_space import (
    baseline_candidates,
    first_generation,
    network_space,
)
from greenfront.spaces.options import NetworkOptions

OPTIONS = network_options("mlp", "cnn", temperature=(1.0, 8.0))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network with a file of weights, which is not read to lay out a space."""
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    file = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    file.touch()
    return f"timm:test_resnet@{file}"


def drawn(options: NetworkOptions, count: int = 200) -> list[tuple[dict, Candidate]]:
    space, rng = network_space(options), np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(count)]
    return [(point, space.decode(point)) for point in points]


def test_training_stays_plain_unless_asked() -> None:
    names = {knob.name for knob in network_space(OPTIONS).knobs}
    assert names.isdisjoint(
        {"augmentation", "layer_decay", "hidden_weight", "label_smoothing", "mixup", "patience"}
    )
    for _, candidate in drawn(OPTIONS, 40):
        training = candidate.training
        assert (training.layer_decay, training.compile) == (1.0, "never")
        assert (training.label_smoothing, training.mixup) == (0.0, 0.0)
        assert not training.average_weights
        assert candidate.distillation is None or candidate.distillation.hidden_weight == 0


def test_images_alone_are_moved_by_default() -> None:
    kinds = {
        inputs: {c.training.augmentation for _, c in drawn(changed_options(OPTIONS, inputs=inputs))}
        for inputs in ("images", "tables", "texts")
    }
    assert kinds == {"images": {"affine"}, "tables": {"none"}, "texts": {"none"}}


@pytest.mark.parametrize(
    ("examples", "wanted"),
    [(3000, {10, 20, 30, 40}), (60_000, {4, 8, 12, 16}), (80, {50, 100, 150, 200})],
)
def test_the_fewer_examples_the_more_epochs(examples: int, wanted: set[int]) -> None:
    options = changed_options(network_options("mlp"), examples=examples)
    assert {c.training.epochs for _, c in drawn(options)} == wanted
    usual = sorted(wanted)[2]
    for candidate in baseline_candidates(options):
        training = candidate.training
        assert (training.epochs, training.fine_tune_epochs) == (usual, min(wanted))
        assert training.patience == max(3, round(usual / 2))
        assert training.first_patience == max(3, round(0.15 * usual))
    for candidate in baseline_candidates(changed_options(options, defaults=2)):
        assert candidate.training.first_patience == 0


def test_dear_families_take_fewer_epochs_where_they_are_left_to_us() -> None:
    epochs = {c.architecture.family: c.training.epochs for c in baseline_candidates(OPTIONS)}
    assert epochs == {"mlp": 30, "cnn": 15}
    written = changed_options(OPTIONS, epochs=8)
    assert {c.training.epochs for c in baseline_candidates(written)} == {8}


@pytest.mark.parametrize(
    ("written", "wanted"),
    [((5, 5), {5}), ((1, 3), {1, 2, 3}), ((10, 40), {10, 20, 30, 40}), ((3, 20), {*range(3, 21)})],
)
def test_epochs_are_as_the_file_says(written: tuple[int, int], wanted: set[int]) -> None:
    options = changed_options(OPTIONS, epochs=written)
    assert {c.training.epochs for _, c in drawn(options)} == wanted
    assert all(c.training.epochs in wanted for c in baseline_candidates(options))


def test_each_optimiser_has_its_own_rates() -> None:
    ranges: dict[str, list[float]] = {"adamw": [], "sgd": []}
    for _, candidate in drawn(OPTIONS):
        ranges[candidate.training.optimizer].append(candidate.training.learning_rate)
    assert max(ranges["adamw"]) <= 1e-2 < 2e-2 <= min(ranges["sgd"])
    assert {c.training.learning_rate for c in baseline_candidates(OPTIONS)} == {3e-3}


def test_one_range_that_is_given_is_for_both() -> None:
    options = changed_options(OPTIONS, learning_rate=(1e-3, 3e-2))
    names = [knob.name for knob in network_space(options).knobs]
    assert "learning_rate" in names
    assert "sgd_learning_rate" not in names
    optimizers = {c.training.optimizer for p, c in drawn(options) if "learning_rate" in p}
    assert optimizers == {"adamw", "sgd"}
    sgd = changed_options(options, optimizer=("sgd",))
    assert {c.training.learning_rate for c in baseline_candidates(sgd)} == {3e-3}


def test_a_range_of_sgd_is_of_sgd_alone() -> None:
    options = changed_options(OPTIONS, learning_rate=(1e-3, 2e-3), sgd_learning_rate=(0.1, 0.1))
    for point, candidate in drawn(options, 60):
        assert "sgd_learning_rate" not in point
        sgd = candidate.training.optimizer == "sgd"
        assert (
            candidate.training.learning_rate == 0.1
            if sgd
            else 1e-3 <= point["learning_rate"] <= 2e-3
        )
    alone = changed_options(options, optimizer=("sgd",))
    assert {c.training.learning_rate for c in baseline_candidates(alone)} == {0.1}


def test_several_augmentations_are_searched_and_the_first_is_the_baselines() -> None:
    options = changed_options(OPTIONS, augmentation=("flip", "none"))
    assert {c.training.augmentation for _, c in drawn(options)} == {"flip", "none"}
    assert {c.training.augmentation for c in baseline_candidates(options)} == {"flip"}
    fixed = changed_options(OPTIONS, augmentation=("shift",))
    assert "augmentation" not in {knob.name for knob in network_space(fixed).knobs}
    assert {c.training.augmentation for _, c in drawn(fixed, 20)} == {"shift"}


def test_rates_decay_only_where_blocks_are_known(pretrained: str) -> None:
    options = changed_options(OPTIONS, families=("mlp", pretrained), layer_decay=(0.7, 1.0))
    seen = drawn(options)
    for point, candidate in seen:
        layered = candidate.architecture.family == pretrained
        assert ("layer_decay" in point) == layered
        assert layered or candidate.training.layer_decay == 1.0
    assert {c.training.layer_decay for p, c in seen if "layer_decay" in p} == {0.7, 1.0}
    assert [c.training.layer_decay for c in baseline_candidates(options)] == [1.0, 0.7]
    without = network_space(changed_options(options, families=("mlp", "cnn")))
    assert "layer_decay" not in {knob.name for knob in without.knobs}


def test_one_decay_is_used_and_not_asked(pretrained: str) -> None:
    options = changed_options(OPTIONS, families=("cnn", pretrained), layer_decay=(0.8,))
    for point, candidate in drawn(options, 30):
        assert "layer_decay" not in point
        pretrained_one = candidate.architecture.family == pretrained
        assert candidate.training.layer_decay == (0.8 if pretrained_one else 1.0)


def test_hidden_states_are_a_knob_of_students() -> None:
    options = changed_options(OPTIONS, hidden_weight=(0.5, 2.0))
    weights = set()
    for point, candidate in drawn(options):
        assert ("hidden_weight" in point) == (candidate.distillation is not None)
        if candidate.distillation is not None:
            weights.add(candidate.distillation.hidden_weight)
    assert (min(weights), max(weights)) == (0.5, 2.0)
    for _, candidate in drawn(changed_options(OPTIONS, hidden_weight=(0.5, 0.5)), 30):
        if candidate.distillation is not None:
            assert candidate.distillation.hidden_weight == 0.5


def test_all_candidates_are_compiled_alike() -> None:
    options = changed_options(OPTIONS, compile="auto")
    assert {c.training.compile for _, c in drawn(options, 20)} == {"auto"}
    assert {c.training.compile for c in baseline_candidates(options)} == {"auto"}


def test_a_search_begins_with_whole_points_of_such_a_space(pretrained: str) -> None:
    options = network_options(
        "mlp",
        pretrained,
        augmentation=("none", "shift+flip"),
        layer_decay=(1.0, 0.6),
        hidden_weight=(0.0, 1.0),
        temperature=(1.0, 8.0),
    )
    space = network_space(options)
    points = first_generation(options, space, 0)
    assert len(points) > 8
    rng = np.random.default_rng(0)
    assert all(space.complete(point, rng) == point for point in points)


@pytest.mark.parametrize(
    "change",
    [
        {"augmentation": "flip"},
        {"layer_decay": 0.5},
        {"compile": "auto"},
        {"label_smoothing": 0.1},
        {"mixup": 0.2},
        {"average_weights": True},
    ],
)
def test_each_setting_makes_another_candidate(change: dict) -> None:
    plain = baseline_candidates(OPTIONS)[0]
    changed = replace(plain, training=replace(plain.training, **change))
    assert changed.key != plain.key
    assert Candidate.from_json(changed.to_json()) == changed

"""Which files execute the same graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from contracts.few_bits import quantize
from greenfront.objectives.stages.export import to_onnx
from greenfront.objectives.stages.fitted_export import fitted_to_onnx
from greenfront.objectives.stages.graph_key import graph_key
from greenfront.spaces.techniques.precision import Precision

CALIBRATION = np.random.default_rng(0).standard_normal((16, 1, 8, 8)).astype(np.float32)


def network(seed: int, width: int = 16, slope: float = 0.1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3), nn.LeakyReLU(slope), nn.Flatten(), nn.Linear(36 * width, 4)
    )


def exported(model: nn.Module, folder: Path, name: str = "model") -> Path:
    path = folder / f"{name}.onnx"
    to_onnx(model, (1, 8, 8), path)
    return path


def key(path: Path, threads: int = 1, **circumstances: object) -> str:
    return graph_key(path, threads, circumstances)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return exported(network(0), tmp_path)


def narrowed(plain: Path, precision: Precision, name: str = "narrow") -> Path:
    path = plain.with_name(f"{name}.onnx")
    quantize(plain, path, precision, "static", CALIBRATION, reduce_range=False, trained=False)
    return path


def test_weights_make_no_difference(plain: Path) -> None:
    other = exported(network(1), plain.parent, "other")
    assert other.read_bytes() != plain.read_bytes()
    assert key(other) == key(plain)


def test_equal_weights_that_the_exporter_shares_make_none(plain: Path) -> None:
    model = network(2)
    with torch.no_grad():  # as biases are before a training
        for parameter in model.parameters():
            parameter.zero_()
    assert key(exported(model, plain.parent, "zeros")) == key(plain)


@pytest.mark.parametrize("precision", [Precision(16), Precision(8, weight_only=True), Precision(4)])
def test_weights_that_are_widened_when_loaded_make_none(plain: Path, precision: Precision) -> None:
    narrow = narrowed(plain, precision)
    assert narrow.stat().st_size < plain.stat().st_size
    assert key(narrow) == key(plain)


def test_kernels_of_integers_are_another_graph_with_any_ranges(plain: Path) -> None:
    one = narrowed(plain, Precision(8))
    other = narrowed(exported(network(1), plain.parent, "other"), Precision(8), "narrow_too")
    assert key(one) == key(other) != key(plain)


def test_shapes_attributes_and_circumstances_count(plain: Path) -> None:
    wider = exported(network(0, width=24), plain.parent, "wider")
    steeper = exported(network(0, slope=0.2), plain.parent, "steeper")
    keys = [
        *(key(path) for path in (plain, wider, steeper)),
        key(plain, threads=2),
        key(plain, batch=8),
        key(plain, batch=8, processor="x"),
    ]
    assert len(set(keys)) == len(keys)


def test_denormal_weights_count(plain: Path) -> None:
    model = network(0)
    with torch.no_grad():
        next(model.parameters())[0, 0, 0, 0] = 1e-40
    assert key(exported(model, plain.parent, "tiny")) != key(plain)


class Raised(nn.Module):
    """What an exponent costs depends on its value."""

    def __init__(self, exponent: float) -> None:
        super().__init__()
        self.exponent = exponent
        self.layer = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(x.flatten(1)) ** self.exponent
        return logits


def test_single_numbers_count(tmp_path: Path) -> None:
    two, three = (exported(Raised(e), tmp_path, f"power{e}") for e in (2.5, 3.5))
    assert key(two) != key(three)


def test_the_values_of_a_tree_are_its_graph(tmp_path: Path) -> None:
    from sklearn.ensemble import ExtraTreesClassifier

    rng, keys = np.random.default_rng(0), []
    inputs = rng.standard_normal((60, 5)).astype(np.float32)
    for seed in (0, 0, 1):
        labels = np.random.default_rng(seed).integers(0, 2, 60)
        model = ExtraTreesClassifier(2, max_depth=3, random_state=0).fit(inputs, labels)
        path = tmp_path / f"{len(keys)}.onnx"
        fitted_to_onnx(model, (5,), 2, path)
        keys.append(key(path))
    assert keys[0] == keys[1] != keys[2]

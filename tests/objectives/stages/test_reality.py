from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from contracts.few_bits import quantize
from greenfront.objectives.stages.export import to_onnx, weight_count
from greenfront.objectives.stages.int8 import compute_int8, has_vnni
from greenfront.objectives.stages.prune import prune
from greenfront.objectives.stages.reality import Claim, executed_operators, unreal
from greenfront.spaces.techniques.precision import Precision

IMAGES = np.random.default_rng(0).standard_normal((32, 3, 8, 8)).astype(np.float32)
ONE = IMAGES[:1]
PRECISIONS = (
    Precision(16),
    Precision(8),
    Precision(8, weight_only=True),
    Precision(4),
    Precision(2),
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 36, 10),
    ).eval()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reality") / "32.onnx"
    to_onnx(network(), (3, 8, 8), path)
    return path


def quantized(reference: Path, target: Path, precision: Precision) -> Path:
    quantize(reference, target, precision, "static", IMAGES, reduce_range=not has_vnni())
    return target


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
def test_real_files_pass(reference: Path, tmp_path: Path, precision: Precision) -> None:
    artefact = quantized(reference, tmp_path / "small.onnx", precision)
    assert unreal(Claim(precision), reference, artefact, ONE) == ()


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
def test_a_relabelled_file_is_found_out(reference: Path, precision: Precision) -> None:
    reasons = unreal(Claim(precision), reference, reference, ONE)
    assert "bytes" in reasons[0]
    assert "only 0% of the large weights" in reasons[1]
    integer = precision == Precision(8)
    assert len(reasons) == (3 if integer else 2)
    if integer:
        assert reasons[2] == "int8 kernels are claimed, but the runtime executes none"


def test_packed_weights_are_no_int8_computation(reference: Path, tmp_path: Path) -> None:
    packed = quantized(reference, tmp_path / "packed.onnx", Precision(4))
    reasons = unreal(Claim(Precision(8)), reference, packed, ONE)
    assert reasons == ("int8 kernels are claimed, but the runtime executes none",)


def test_wider_weights_than_claimed_are_found_out(reference: Path, tmp_path: Path) -> None:
    packed = quantized(reference, tmp_path / "packed.onnx", Precision(8, weight_only=True))
    (reason,) = unreal(Claim(Precision(4)), reference, packed, ONE)
    assert reason.startswith("4 bits are claimed, but only 0% of the large weights")


def test_mostly_floating_products_are_found_out(tmp_path: Path) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.large = nn.Linear(64, 512)
            self.rest = nn.Linear(512, 8)

        def forward(self, inputs: Tensor) -> Tensor:
            hidden = self.large(inputs)
            seen = hidden.unsqueeze(1)
            for _ in range(3):  # products of two activations, which stay floating
                seen = torch.softmax(seen.transpose(1, 2) @ seen, -1)[:, :1]
            return self.rest(seen[:, 0])

    inputs = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    source, target = tmp_path / "32.onnx", tmp_path / "8.onnx"
    to_onnx(Mixed(), (64,), source)
    compute_int8(source, target, "dynamic", calibration=inputs, reduce_range=False)
    reasons = unreal(Claim(Precision(8)), source, target, inputs[:1])
    assert reasons == (
        "int8 kernels are claimed, but the runtime executes 3 of 5 products in floating point",
    )


def test_pruning_shows_in_the_tensors(reference: Path, tmp_path: Path) -> None:
    untouched = weight_count(reference)
    model = network()
    with torch.no_grad():
        model[2].weight[::2] = 0  # a mask, and no smaller tensor
    masked = tmp_path / "masked.onnx"
    to_onnx(model, (3, 8, 8), masked)
    claim = Claim(Precision(), untouched)
    (reason,) = unreal(claim, masked, masked, ONE)
    assert reason == (
        f"pruning is claimed, but the file stores {untouched:,} weights and the unpruned network "
        f"has {untouched:,}"
    )
    prune(model, torch.from_numpy(IMAGES[:2]), 0.5, model[-1])
    smaller = tmp_path / "smaller.onnx"
    to_onnx(model, (3, 8, 8), smaller)
    assert unreal(claim, smaller, smaller, ONE) == ()


def test_a_network_as_it_is_claims_nothing(reference: Path) -> None:
    assert unreal(Claim(Precision()), reference, reference, ONE) == ()


def test_the_profile_counts_what_is_executed(reference: Path, tmp_path: Path) -> None:
    executed = executed_operators(reference, ONE)
    assert executed["Conv"] + executed["FusedConv"] == 2
    assert executed["Gemm"] + executed["FusedGemm"] == 1
    integer = executed_operators(quantized(reference, tmp_path / "8.onnx", Precision(8)), ONE)
    assert (integer["QLinearConv"], integer["QGemm"]) == (2, 1)
    assert not integer["Conv"] + integer["FusedConv"] + integer["Gemm"]


def test_a_node_that_is_never_executed_does_not_count(reference: Path, tmp_path: Path) -> None:
    model = onnx.load(reference)
    for name in ("decoy_images", "decoy_filters"):
        decoy = numpy_helper.from_array(np.ones((1, 1, 3, 3), np.uint8), name)
        model.graph.initializer.append(decoy)
    node = helper.make_node("ConvInteger", ["decoy_images", "decoy_filters"], ["decoy"])
    model.graph.node.append(node)
    onnx.save(model, tmp_path / "decoy.onnx")
    assert executed_operators(tmp_path / "decoy.onnx", ONE) == executed_operators(reference, ONE)

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, to_onnx
from greenfront.objectives.stages.int8 import Int8Recipe, compute_int8
from greenfront.objectives.stages.reality import executed_operators
from greenfront.spaces.architectures.timm import Timm

IMAGES = np.random.default_rng(0).standard_normal((64, 3, 16, 16)).astype(np.float32)


class GreyFirst(nn.Module):
    """Its first layer subtracts nearly equal channels and makes much of what is left.

    Of grey images, networks that were trained on coloured ones make the same.
    """

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3)
        with torch.no_grad():
            self.first.weight[:, 0] = 100.0
            self.first.weight[:, 1] = 0.3 * torch.randn(8, 3, 3) - 100.0
            self.first.weight[:, 2] = 0.0
        self.rest = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(8 * 196, 4))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.rest(self.first(images[:, :1].expand(-1, 3, -1, -1)))
        return logits


def written(model: nn.Module, folder: Path) -> Path:
    to_onnx(model.eval(), (3, 16, 16), folder / "whole.onnx")
    return folder / "whole.onnx"


def error(path: Path, source: Path) -> float:
    wanted, found = (
        np.asarray(open_artefact(each, 1).run(None, {INPUT: IMAGES})[0]) for each in (source, path)
    )
    return float(np.abs(found - wanted).mean() / wanted.std())


def test_layers_that_rounding_would_ruin_stay_at_32_bits(tmp_path: Path) -> None:
    source, target = written(GreyFirst(), tmp_path), tmp_path / "int8.onnx"
    kept = compute_int8(source, target, "static", calibration=IMAGES, reduce_range=False)
    executed = executed_operators(target, IMAGES[:1])
    floating = executed["Conv"] + executed["FusedConv"] + executed["NhwcFusedConv"]
    assert kept == floating == 1
    careful = error(target, source)
    compute_int8(source, target, "static", calibration=IMAGES, reduce_range=False, trained=False)
    assert careful < error(target, source) / 2


def test_a_network_that_bears_it_computes_in_8_bits_throughout(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 144, 4),
    )  # fmt: skip
    source, target = written(model, tmp_path), tmp_path / "int8.onnx"
    assert compute_int8(source, target, "static", calibration=IMAGES, reduce_range=False) == 0
    assert executed_operators(target, IMAGES[:1])["QLinearConv"] == 2


def test_a_network_that_always_answers_alike_is_written_too(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(784, 4))
    with torch.no_grad():
        model[2].weight.zero_()
        model[2].bias.fill_(1.0)
    source, target = written(model, tmp_path), tmp_path / "int8.onnx"
    assert compute_int8(source, target, "static", calibration=IMAGES, reduce_range=False) == 0
    assert open_artefact(target, 1).run(None, {INPUT: IMAGES})[0].shape == (64, 4)


@pytest.mark.parametrize("recipe", ["static", "static_per_tensor"])
def test_paddings_that_follow_from_sizes_are_not_rounded(
    tmp_path: Path, recipe: Int8Recipe
) -> None:
    """Rounded to 8 bits, a padding of this network's would be another padding."""
    torch.manual_seed(0)
    architecture = Timm("timm:tf_efficientnet_lite0")
    shape = {**architecture.baseline(), "resolution": 32}
    model = architecture.build(shape, (3, 16, 16), 10)
    source, target = written(model, tmp_path), tmp_path / "int8.onnx"
    compute_int8(source, target, recipe, calibration=IMAGES, reduce_range=False, trained=False)
    executed = executed_operators(target, IMAGES[:1])
    assert executed["Pad"] == 0
    assert executed["QLinearConv"] == 49
    scales = [n for n in onnx.load(target).graph.node if n.op_type == "QuantizeLinear"]
    assert not [n.input[0] for n in scales if "Sub" in n.input[0] or "Unsqueeze" in n.input[0]]

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, to_onnx
from greenfront.objectives.stages.fold_sizes import size_arithmetic

RANDOM = np.random.default_rng(0)


class PaddedAsNeeded(nn.Module):
    """Pads to a multiple of four, as networks do that were written for another framework."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 4, stride=4)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        padded = functional.pad(images, [0, -width % 4, 0, -height % 4])
        return self.convolution(padded).mean((2, 3))


class SplitByTheBatch(nn.Module):
    """Its sizes depend on the batch, and one of them only for a part."""

    def forward(self, images: Tensor) -> Tensor:
        count, channels = images.shape[:2]
        halves = images.reshape(count * 2, channels // 2, -1)
        return halves.reshape(count, -1)[:, :10] * channels


class OfAnyLength(nn.Module):
    """Its answers depend on the length of the sequence, and on how many fours are in it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1])
        return (self.table(tokens) * places[:, None]).sum(1) / (tokens.shape[1] // 4 + 1)


def answers(path: Path, inputs: np.ndarray) -> np.ndarray:
    (logits,) = open_artefact(path, threads=1).run(None, {INPUT: inputs})
    return np.asarray(logits)


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_a_padding_that_follows_from_the_image_is_stored(tmp_path: Path) -> None:
    path, model = tmp_path / "model.onnx", PaddedAsNeeded().eval()
    to_onnx(model, (3, 30, 29), path)
    assert not {"Shape", "Mod", "Cast", "Sub"} & set(operators(path))
    images = RANDOM.standard_normal((5, 3, 30, 29)).astype(np.float32)
    wanted = model(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(answers(path, images), wanted, atol=1e-5)


def test_what_depends_on_the_batch_is_still_computed(tmp_path: Path) -> None:
    path, model = tmp_path / "model.onnx", nn.Sequential(SplitByTheBatch(), nn.Linear(10, 10))
    to_onnx(model.eval(), (4, 3, 3), path)
    for count in (1, 2, 6, 33):
        images = RANDOM.standard_normal((count, 4, 3, 3)).astype(np.float32)
        wanted = model(torch.from_numpy(images)).detach().numpy()
        np.testing.assert_allclose(answers(path, images), wanted, atol=1e-4)


def test_what_depends_on_the_length_is_still_computed(tmp_path: Path) -> None:
    path, model = tmp_path / "model.onnx", OfAnyLength().eval()
    to_onnx(model, torch.ones((1, 9), dtype=torch.int64), path)
    assert size_arithmetic(onnx.load(path).graph)
    for count, length in ((1, 1), (2, 9), (3, 20)):
        tokens = RANDOM.integers(0, 50, (count, length))
        wanted = model(torch.from_numpy(tokens)).detach().numpy()
        np.testing.assert_allclose(answers(path, tokens), wanted, atol=1e-5)


@torch.jit.script_if_tracing
def mean_of_several(images: Tensor) -> Tensor:
    return images.mean() if images.shape[0] > 1 else torch.zeros(1).sum()


class Branching(nn.Module):
    """Its branch asks for the batch, and takes data from outside."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) + mean_of_several(images)


def test_branches_that_use_data_are_left_alone(tmp_path: Path) -> None:
    path, model = tmp_path / "model.onnx", nn.Sequential(Branching(), nn.Linear(27, 4)).eval()
    to_onnx(model, torch.randn(1, 3, 3, 3), path)
    for count in (1, 2, 9):
        images = RANDOM.standard_normal((count, 3, 3, 3)).astype(np.float32)
        wanted = model(torch.from_numpy(images)).detach().numpy()
        np.testing.assert_allclose(answers(path, images), wanted, atol=1e-4)


def test_data_are_no_sizes(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    to_onnx(PaddedAsNeeded().eval(), (3, 30, 29), path)
    graph = onnx.load(path).graph
    assert {node.op_type for node in graph.node} >= {"Conv", "ReduceMean"}
    assert not [n for n in size_arithmetic(graph) if n.op_type in ("Conv", "ReduceMean")]

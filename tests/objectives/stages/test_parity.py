from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from greenfront.errors import TrialFailed
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.examples import Examples
from greenfront.objectives.stages.export import to_onnx
from greenfront.objectives.stages.parity import Parity, parity


class Overflowing(nn.Module):
    """Answers infinity, or NaN, where an input is large."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, inputs: Tensor) -> Tensor:
        large = (self.scale * inputs).exp()
        return torch.stack([large[:, 0], large[:, 1] - large[:, 2]], 1)


def exported(model: nn.Module, example: Tensor, path: Path) -> Path:
    to_onnx(model, example, path)
    return path


def examples(inputs: Tensor, padding: int | None = None) -> Examples:
    return Examples(inputs, torch.zeros(len(inputs), dtype=torch.int64), padding)


@pytest.mark.parametrize("count", [1, 64, 65, 200])
def test_a_true_export_agrees(count: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), nn.Dropout(0.5), nn.Linear(32, 4))
    path = exported(model, torch.zeros(1, 6), tmp_path / "model.onnx")
    result = parity(model, open_artefact(path, threads=1), examples(torch.randn(count, 6)))
    assert result.agreement == 1
    assert 0 <= result.max_error < 1e-5


def test_differences_are_found(tmp_path: Path) -> None:
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight.copy_(torch.eye(3))
        model.bias.zero_()
    path = exported(model, torch.zeros(1, 3), tmp_path / "model.onnx")
    stored = onnx.load(path)
    (bias,) = [t for t in stored.graph.initializer if len(t.dims) == 1]
    bias.CopyFrom(numpy_helper.from_array(np.array([0, 0.75, 0], np.float32), bias.name))
    onnx.save(stored, path)
    inputs = torch.tensor([[1.0, 0, 0], [0.5, 0, 0], [0, 1, 0], [0, 0, 2]])
    result = parity(model, open_artefact(path, threads=1), examples(inputs))
    assert result == Parity(max_error=0.75, agreement=0.75)
    assert parity(model, open_artefact(path, threads=1), examples(inputs[:1])) == Parity(0.75, 1)


@pytest.mark.parametrize("large", [[200.0, 0, 0], [0, 200.0, 200.0]])
def test_a_file_that_answers_no_finite_numbers_fails(large: list[float], tmp_path: Path) -> None:
    path = exported(Overflowing(), torch.zeros(1, 3), tmp_path / "model.onnx")
    inputs = torch.tensor([[0.0, 0, 0], large, [1.0, 0, 0]])
    sound = nn.Linear(3, 2)
    message = r"^not finite: the exported file .* 1 of 3 examples got NaN or infinity"
    with pytest.raises(TrialFailed, match=message) as failed:
        parity(sound, open_artefact(path, threads=1), examples(inputs))
    assert failed.value.cause == "not finite"


@pytest.mark.parametrize("large", [[200.0, 0, 0], [0, 200.0, 200.0]])
def test_a_network_that_answers_no_finite_numbers_fails(large: list[float], tmp_path: Path) -> None:
    path = exported(Overflowing(), torch.zeros(1, 3), tmp_path / "model.onnx")
    inputs = torch.tensor([[0.0, 0, 0]] * 40 + [large])  # in the second pass
    with pytest.raises(TrialFailed, match=r"^not finite: the network .* 1 of 9 examples"):
        parity(Overflowing(), open_artefact(path, threads=1), examples(inputs))


def test_texts_are_compared_without_their_padding(tmp_path: Path) -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(20, 8)
            self.seen: list[int] = []

        def forward(self, ids: Tensor) -> Tensor:
            self.seen.append(ids.shape[1])
            return self.table(ids).mean(1)

    model = Words()
    ids = torch.randint(1, 20, (5, 12))
    path = exported(model, ids, tmp_path / "model.onnx")
    ids[:, 7:] = 0
    result = parity(model, open_artefact(path, threads=1), examples(ids, padding=0))
    assert result.agreement == 1
    assert model.seen[-1] == 7

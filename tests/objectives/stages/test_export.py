from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn

from contracts.convolution import IMAGES, convolution
from greenfront.errors import TrialFailed
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, OUTPUT, to_onnx, weight_count


class Words(nn.Module):
    """Token numbers to logits, without looking at padding."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(40, 8), nn.Linear(8, 4)
        self.register_buffer("places", torch.arange(64).expand(1, -1))

    def forward(self, ids: Tensor) -> Tensor:
        mask = (ids != 0).unsqueeze(-1).float()
        length = ids.shape[1]
        states = self.table(ids) + self.table(self.places[:, :length] % 40)
        return self.head((states * mask).sum(1) / mask.sum(1).clamp_min(1))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    to_onnx(convolution(), (3, 6, 6), path)
    return path


def test_the_batch_is_free_and_the_rest_is_not(source: Path) -> None:
    session = open_artefact(source, threads=1)
    (given,), (answered,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape[1:], given.type) == (INPUT, [3, 6, 6], "tensor(float)")
    assert (answered.name, answered.shape[1:]) == (OUTPUT, [4])
    for count in (1, 7):
        (logits,) = session.run([OUTPUT], {INPUT: IMAGES[:count]})
        assert logits.shape == (count, 4)


def test_batch_normalisation_is_folded_in(source: Path) -> None:
    kinds = [node.op_type for node in onnx.load(source).graph.node]
    assert "BatchNormalization" not in kinds
    with torch.no_grad():
        wanted = convolution()(torch.from_numpy(IMAGES)).numpy()
    (given,) = open_artefact(source, threads=1).run([OUTPUT], {INPUT: IMAGES})
    np.testing.assert_allclose(given, wanted, atol=1e-5)


def test_an_example_does_what_its_shape_does(source: Path, tmp_path: Path) -> None:
    to_onnx(convolution().train(), torch.from_numpy(IMAGES[:3]), tmp_path / "model.onnx")
    (wanted,) = open_artefact(source, threads=1).run([OUTPUT], {INPUT: IMAGES})
    (given,) = open_artefact(tmp_path / "model.onnx", threads=1).run([OUTPUT], {INPUT: IMAGES})
    np.testing.assert_array_equal(given, wanted)


def test_texts_may_have_any_length(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Words()
    to_onnx(model, torch.randint(0, 40, (1, 9)), tmp_path / "words.onnx")
    session = open_artefact(tmp_path / "words.onnx", threads=1)
    assert session.get_inputs()[0].type == "tensor(int64)"
    for shape in ((1, 1), (5, 3), (2, 30)):
        ids = torch.randint(0, 40, shape)
        with torch.no_grad():
            wanted = model(ids).numpy()
        (given,) = session.run([OUTPUT], {INPUT: ids.numpy()})
        np.testing.assert_allclose(given, wanted, atol=1e-5)


def test_weights_are_counted_without_biases(source: Path) -> None:
    assert weight_count(source) == 16 * 3 * 3 * 3 + 16 * 36 * 4


def test_positions_are_no_weights(tmp_path: Path) -> None:
    to_onnx(Words(), torch.randint(0, 40, (1, 9)), tmp_path / "words.onnx")
    stored = onnx.load(tmp_path / "words.onnx").graph.initializer
    assert any(t.data_type == TensorProto.INT64 and len(t.dims) == 2 for t in stored)
    assert weight_count(tmp_path / "words.onnx") == 40 * 8 + 8 * 4


class Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.linalg.pinv(self.layer(inputs)).T


def test_what_no_exporter_can_follow_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrialFailed, match="linalg_pinv") as failure:
        to_onnx(Untraceable(), (4,), tmp_path / "model.onnx")
    assert failure.value.cause == "cannot export"


def test_no_option_of_a_session_is_needed(source: Path) -> None:
    options = open_artefact(source, threads=1).get_session_options()
    with pytest.raises(RuntimeError, match="does not have"):
        options.get_session_config_entry("session.disable_quant_qdq")

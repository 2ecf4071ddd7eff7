from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from contracts.text_architectures import encoded_sentences, lengths_and_batches, run
from contracts.texts import CLASSES, sentences
from greenfront.errors import UsageError
from greenfront.objectives.stages.examples import TrainingData
from greenfront.objectives.stages.export import to_onnx
from greenfront.objectives.stages.predict import predict
from greenfront.objectives.stages.quantize import quantize_weights
from greenfront.objectives.stages.structure import load_network, save_network
from greenfront.objectives.stages.train import FitOptions, train
from greenfront.spaces.architectures.bag import Bag
from greenfront.spaces.space import PlainChoice, SearchSpace
from greenfront.spaces.techniques.training import Training

FAMILY = Bag()
PAIRS = {"width": 8, "pairs": 4096, "length": 64}
WORDS = {**PAIRS, "pairs": 0}


def build(shape: dict[str, int], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return FAMILY.build(shape, (), CLASSES)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return encoded_sentences(FAMILY, PAIRS, 240)


@pytest.fixture(scope="module")
def trained(data: TrainingData) -> nn.Module:
    model = build(PAIRS)
    options = FitOptions(head=FAMILY.head(model), body_rate=FAMILY.body_rate)
    training = Training(learning_rate=1e-2, batch_size=32, epochs=12)
    train(model, data, training, seed=0, options=options)
    return model


def test_it_takes_texts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FAMILY.objection(()) is None
    assert FAMILY.objection((12,)) == FAMILY.objection((1, 8, 8)) == "it needs texts"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"'bag' needs the package tokenizers, .* pip install"):
        FAMILY.objection(())


def test_knobs_form_a_space() -> None:
    space = SearchSpace(FAMILY.knobs(), decode=PlainChoice)
    rng = np.random.default_rng(0)
    usual = dict(FAMILY.baseline())
    for shape in (usual, {**usual, **FAMILY.smaller()}, PAIRS, WORDS):
        assert space.complete(shape, rng) == shape


def test_texts_become_numbers() -> None:
    corpus, _ = sentences(60, seed=0)
    texts = np.array(["goal " * 100, "team"], dtype=object)
    ids = FAMILY.encode(PAIRS, texts, corpus)
    assert (ids.dtype, ids.shape) == (np.int64, (2, 64))
    assert (ids[1, 3:] == FAMILY.padding).all()


@pytest.mark.parametrize("shape", [PAIRS, WORDS])
def test_padding_does_not_matter(shape: dict[str, int]) -> None:
    model = build(shape).eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    longer = torch.cat([ids, torch.full((1, 9), FAMILY.padding)], dim=1)
    torch.testing.assert_close(model(ids), model(longer))
    assert model(torch.full((1, 3), FAMILY.padding)).isfinite().all()


def test_the_order_of_words_counts_with_pairs_alone() -> None:
    ids = torch.tensor([[5, 6, 7, 8]])
    for shape, same in ((PAIRS, False), (WORDS, True)):
        model = build(shape).eval()
        assert torch.allclose(model(ids), model(ids.flip(1)), atol=1e-6) == same


def test_embeddings_are_added_up_whatever_the_length() -> None:
    model: Any = build(PAIRS).eval()
    words, pairs, head = model.words, model.neighbours, model.head
    ids = [5, 9, 7]
    hashed = [(a * 40_503 + b) % 4096 for a, b in itertools.pairwise(ids)]
    total = words.weight[ids].sum(0) + pairs.weight[hashed].sum(0)
    wanted = head(total / 3**0.5)
    torch.testing.assert_close(model(torch.tensor([ids]))[0], wanted)


def test_it_learns(trained: nn.Module, data: TrainingData) -> None:
    logits = predict(trained, data.validation.inputs, data.validation.padding)
    assert float((logits.argmax(-1) == data.validation.labels).float().mean()) > 0.9


def test_a_step_changes_every_weight_tensor(data: TrainingData) -> None:
    model = build(PAIRS)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    train(model, data, Training(epochs=1), seed=0)
    assert not [n for n, weight in model.named_parameters() if torch.equal(weight, before[n])]


def test_stored_weights_bring_it_back(trained: nn.Module, tmp_path: Path) -> None:
    save_network(trained, tmp_path / "bag.safetensors")
    fresh = build(PAIRS, seed=9)
    load_network(fresh, tmp_path / "bag.safetensors")
    ids = torch.randint(5, 60, (4, 12))
    assert torch.equal(predict(fresh, ids), predict(trained, ids))


@pytest.mark.parametrize("shape", [PAIRS, WORDS])
def test_the_file_answers_like_the_module(shape: dict[str, int], tmp_path: Path) -> None:
    model = build(shape)
    to_onnx(model, torch.randint(20, 60, (1, 30)), tmp_path / "bag.onnx")
    for ids in lengths_and_batches(FAMILY.padding, 40):
        torch.testing.assert_close(
            run(tmp_path / "bag.onnx", ids), predict(model, ids), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(("bits", "share"), [(16, 0.52), (8, 0.4), (4, 0.27)])
def test_fewer_bits_are_fewer_bytes(
    trained: nn.Module, data: TrainingData, tmp_path: Path, bits: int, share: float
) -> None:
    whole, small = tmp_path / "whole.onnx", tmp_path / "small.onnx"
    to_onnx(trained, data.train.inputs[:1], whole)
    ids = data.validation.inputs
    quantize_weights(whole, small, bits)
    assert small.stat().st_size < share * whole.stat().st_size
    same = run(small, ids).argmax(-1) == run(whole, ids).argmax(-1)
    assert float(same.float().mean()) > 0.9

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from contracts.text_architectures import encoded_sentences, lengths_and_batches, run
from contracts.texts import CLASSES, saved_model
from greenfront.errors import UsageError
from greenfront.objectives.stages.examples import TrainingData
from greenfront.objectives.stages.export import to_onnx
from greenfront.objectives.stages.predict import predict, seen_through
from greenfront.objectives.stages.structure import load_network, save_network
from greenfront.objectives.stages.train import train
from greenfront.spaces.architectures.frozen import FrozenEncoder
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.space import PlainChoice, SearchSpace
from greenfront.spaces.techniques.training import Training

SHAPE = {"layers": 4, "length": 32}


@pytest.fixture(scope="module", params=["bert", "distilbert"])
def family(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> FrozenEncoder:
    folder = tmp_path_factory.mktemp("models") / request.param
    return FrozenEncoder(f"frozen:{saved_model(folder, request.param)}")


def build(family: FrozenEncoder, shape: dict[str, int] | None = None) -> nn.Module:
    torch.manual_seed(0)
    return family.build(shape or SHAPE, (), CLASSES)


@pytest.fixture(scope="module")
def data(family: FrozenEncoder) -> TrainingData:
    return encoded_sentences(family, SHAPE, 120)


def test_it_is_found_by_its_name(family: FrozenEncoder) -> None:
    assert architecture(family.name).name == family.name
    assert family.name.startswith("frozen:")
    assert family.fingerprint()
    with pytest.raises(UsageError, match=r"'frozen:' must name a model after 'frozen:'"):
        architecture("frozen:")


def test_knobs_form_a_space(family: FrozenEncoder) -> None:
    space = SearchSpace(family.knobs(), decode=PlainChoice)
    rng = np.random.default_rng(0)
    assert {knob.name for knob in family.knobs()} == {"layers", "length"}
    for shape in (dict(family.baseline()), {**family.baseline(), **family.smaller()}, SHAPE):
        assert space.complete(shape, rng) == shape


def test_only_the_head_is_trained_and_answers_like_the_whole(
    family: FrozenEncoder, data: TrainingData
) -> None:
    model = build(family)
    body = family.frozen_body(model)
    assert body is not None
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    features = seen_through(body, data)
    assert features.train.inputs.shape == (len(data.train), family.head(model).in_features)
    train(family.head(model), features, Training(epochs=3), seed=0)
    changed = [n for n, w in model.state_dict().items() if not torch.equal(w, before[n])]
    assert changed == ["head.weight", "head.bias"]
    whole = predict(model, data.validation.inputs, data.validation.padding)
    head = predict(family.head(model), features.validation.inputs)
    torch.testing.assert_close(whole, head)


def test_features_are_standardised_means_of_what_is_no_padding(family: FrozenEncoder) -> None:
    body = family.frozen_body(build(family))
    assert body is not None
    for ids in lengths_and_batches(family.padding, 20):
        features = predict(body, ids)
        torch.testing.assert_close(features.mean(1), torch.zeros(len(ids)), atol=1e-4, rtol=0)
        torch.testing.assert_close(features.std(1, correction=0), torch.ones(len(ids)))
        longer = torch.cat([ids, torch.full((len(ids), 5), family.padding)], dim=1)
        torch.testing.assert_close(predict(body, longer), features, rtol=1e-3, atol=1e-4)


def test_the_lowest_layers_stay(family: FrozenEncoder) -> None:
    whole, half = build(family), build(family, {**SHAPE, "layers": 2})
    names = set(half.state_dict())
    assert names < set(whole.state_dict())
    for name in names - {"head.weight", "head.bias"}:
        assert torch.equal(half.state_dict()[name], whole.state_dict()[name]), name


def test_the_file_answers_like_the_module(family: FrozenEncoder, tmp_path: Path) -> None:
    model = build(family)
    to_onnx(model, torch.randint(20, 60, (1, 12)), tmp_path / "frozen.onnx")
    for ids in lengths_and_batches(family.padding, 20):
        torch.testing.assert_close(
            run(tmp_path / "frozen.onnx", ids), predict(model, ids), rtol=1e-3, atol=1e-4
        )


def test_stored_weights_bring_it_back(family: FrozenEncoder, tmp_path: Path) -> None:
    model = build(family)
    save_network(model, tmp_path / "frozen.safetensors")
    torch.manual_seed(5)
    fresh = family.build(SHAPE, (), CLASSES)
    load_network(fresh, tmp_path / "frozen.safetensors")
    ids = torch.randint(20, 60, (3, 9))
    assert torch.equal(predict(fresh, ids), predict(model, ids))


def test_a_share_of_the_data_is_from_both_splits(data: TrainingData) -> None:
    some = data.first(0.25)
    assert (len(some.train), len(some.validation)) == (30, round(0.25 * len(data.validation)))
    assert torch.equal(some.train.inputs, data.train.inputs[:30])
    assert replace(some.train).padding == data.train.padding

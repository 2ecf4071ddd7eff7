"""What every family of text classifiers must do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from contracts.texts import CLASSES, sentences
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.export import INPUT, OUTPUT, to_onnx
from greenfront.objectives.stages.predict import predict
from greenfront.objectives.stages.prune import parameter_count, prune
from greenfront.objectives.stages.structure import load_network, save_network
from greenfront.objectives.stages.train import train
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.knobs import Value
from greenfront.spaces.space import PlainChoice, SearchSpace
from greenfront.spaces.techniques.training import Training

Shape = Mapping[str, Value]


def run(path: Path, ids: Tensor) -> Tensor:
    (logits,) = open_artefact(path, threads=1).run([OUTPUT], {INPUT: ids.numpy()})
    return torch.from_numpy(logits)


def lengths_and_batches(padding: int, most: int) -> list[Tensor]:
    """Token numbers of several lengths, with padding on the right."""
    torch.manual_seed(0)
    batches = []
    for count, length in ((1, 7), (3, most), (2, 1)):
        ids = torch.randint(20, 60, (count, length))
        ids[-1, length // 2 + 1 :] = padding
        batches.append(ids)
    return batches


def encoded_sentences(family: Architecture, shape: Shape, count: int) -> TrainingData:
    corpus, _ = sentences(count, seed=0)

    def examples(number: int, seed: int) -> Examples:
        texts, labels = sentences(number, seed)
        ids = family.encode(shape, texts, corpus)
        return Examples(torch.from_numpy(ids), torch.from_numpy(labels), family.padding)

    return TrainingData(examples(count, 0), examples(90, 1))


class TextArchitectureContract:
    """What every family for texts promises; subclasses give a ``family`` and a small ``shape``."""

    shape: ClassVar[Shape]

    @pytest.fixture(scope="class")
    @classmethod
    def family(cls, tmp_path_factory: pytest.TempPathFactory) -> Architecture:
        raise NotImplementedError

    def space(self, family: Architecture) -> SearchSpace[PlainChoice]:
        return SearchSpace(family.knobs(), decode=PlainChoice)

    @classmethod
    def build(cls, family: Architecture, shape: Shape | None = None, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return family.build(shape or cls.shape, (), CLASSES)

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, family: Architecture) -> TrainingData:
        return encoded_sentences(family, cls.shape, 240)

    # --- what may be chosen ------------------------------------------------------------------

    def test_a_smaller_one_has_fewer_layers(self, family) -> None:
        settings, baseline = dict(family.smaller()), dict(family.baseline())
        (layers,) = (knob for knob in family.knobs() if knob.name == "layers")
        assert settings.keys() == {"layers"}
        assert layers.contains(settings["layers"])
        assert settings["layers"] < baseline["layers"]

    def test_it_takes_texts_alone(self, family) -> None:
        assert family.objection(()) is None
        for shape in ((12,), (1, 8, 8)):
            assert family.objection(shape) == "it needs texts"

    def test_knobs_form_a_space(self, family) -> None:
        assert self.space(family).knobs == family.knobs()
        for shape in (family.baseline(), self.shape):
            whole = self.space(family).complete(dict(shape), np.random.default_rng(0))
            assert whole == dict(shape)

    # --- tokens ------------------------------------------------------------------------------

    def test_texts_become_numbers(self, family) -> None:
        corpus, _ = sentences(60, seed=0)
        texts = np.array(["goal " * 50, "team"], dtype=object)
        for length in (32, 64):
            ids = family.encode({**self.shape, "length": length}, texts, corpus)
            assert ids.dtype == np.int64
            assert ids.shape == (2, min(length, 52))
            assert (ids[1, 3:] == family.padding).all()
            assert not (ids[0] == family.padding).any()

    # --- the module --------------------------------------------------------------------------

    @pytest.mark.parametrize("seed", range(3))
    def test_sampled_shapes_give_finite_logits(self, family, seed) -> None:
        shape = self.space(family).sample(np.random.default_rng(seed))
        model = self.build(family, shape)
        for ids in lengths_and_batches(family.padding, 20):
            logits = model(ids)
            assert logits.shape == (len(ids), CLASSES)
            assert logits.dtype == torch.float32
            assert logits.isfinite().all()

    def test_the_seed_decides_what_is_random(self, family) -> None:
        first, again, other = (self.build(family, seed=s).state_dict() for s in (3, 3, 4))
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)

    def test_the_head_gives_the_logits(self, family) -> None:
        model = self.build(family).eval()
        seen: list[Tensor] = []
        family.head(model).register_forward_hook(lambda _, __, output: seen.append(output))
        logits = model(torch.tensor([[5, 6, 7]]))
        assert len(seen) == 1
        assert torch.equal(seen[0], logits)

    def test_padding_does_not_matter(self, family) -> None:
        model = self.build(family).eval()
        ids = torch.tensor([[5, 6, 7, 8]])
        longer = torch.cat([ids, torch.full((1, 9), family.padding)], dim=1)
        assert torch.allclose(model(ids), model(longer), atol=1e-5)
        assert not torch.allclose(model(ids), model(ids.flip(1)), atol=1e-5)

    def test_a_step_changes_every_weight_tensor(self, family, data) -> None:
        model = self.build(family)
        before = {name: weight.clone() for name, weight in model.named_parameters()}
        train(model, data, Training(epochs=1), seed=0)
        unchanged = [n for n, weight in model.named_parameters() if torch.equal(weight, before[n])]
        assert unchanged == []

    # --- the file ----------------------------------------------------------------------------

    @pytest.mark.parametrize("columns", [1, 5])
    def test_the_file_takes_every_batch_and_length(self, family, columns, tmp_path) -> None:
        """Whichever example it was traced with: without padding, and with some."""
        model = self.build(family)
        for example in (torch.full((2, columns), 9), torch.tensor([[9, 9, family.padding]])):
            to_onnx(model, example, tmp_path / "model.onnx")
            for ids in lengths_and_batches(family.padding, 31):
                difference = run(tmp_path / "model.onnx", ids) - predict(model, ids)
                assert difference.abs().max() < 1e-4

    def test_half_of_it_can_be_pruned_kept_and_exported(self, family, tmp_path) -> None:
        model = self.build(family)
        weights = parameter_count(model)
        removed = prune(model, torch.randint(4, 60, (2, 9)), 0.5, family.head(model))
        assert removed == pytest.approx(1 - parameter_count(model) / weights)
        assert 0.3 < removed < 0.9
        save_network(model, tmp_path / "model.safetensors")
        fresh = self.build(family, seed=1)
        load_network(fresh, tmp_path / "model.safetensors")
        to_onnx(fresh, torch.full((1, 4), 9), tmp_path / "model.onnx")
        for ids in lengths_and_batches(family.padding, 31):
            assert torch.equal(predict(fresh, ids), predict(model, ids))
            assert (run(tmp_path / "model.onnx", ids) - predict(model, ids)).abs().max() < 1e-4

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch

from contracts.text_architectures import (
    Shape,
    TextArchitectureContract,
)
from greenfront.objectives.stages.predict import predict
from greenfront.objectives.stages.prune import parameter_count
from greenfront.objectives.stages.train import train
from greenfront.spaces.architectures.transformers import Bert, DistilBert
from greenfront.spaces.techniques.training import Training


class FreshContract(TextArchitectureContract):
    shape: ClassVar[Shape] = {"layers": 2, "hidden": 64, "heads": 4, "length": 32}

    def test_different_points_are_different_networks(self, family) -> None:
        shapes = [
            {**self.shape, name: value}
            for name, value in (("layers", 3), ("hidden", 128), ("length", 64))
        ]
        sizes = {parameter_count(self.build(family, shape)) for shape in (self.shape, *shapes)}
        assert len(sizes) == 4
        ids = torch.tensor([[5, 6, 7]])
        few, many = (self.build(family, {**self.shape, "heads": n}).eval() for n in (2, 8))
        assert not torch.allclose(few(ids), many(ids))

    def test_it_learns(self, family, data) -> None:
        model = self.build(family)
        training = Training(learning_rate=1e-3, batch_size=32, epochs=10, patience=0)
        train(model, data, training, seed=0)
        right = predict(model, data.validation.inputs).argmax(-1) == data.validation.labels
        assert float(right.float().mean()) > 0.8

    def test_its_vocabulary_is_of_the_training_texts(self, family) -> None:
        texts = np.array(["goal"], dtype=object)
        known, unknown = (
            family.encode(self.shape, texts, np.array([word] * 3, dtype=object))
            for word in ("goal", "share")
        )
        assert known.shape == (1, 3)
        assert not np.array_equal(known, unknown)

    def test_nothing_of_it_is_pretrained(self, family) -> None:
        assert family.fingerprint() == ""
        assert family.body_rate == 0.3


class TestBert(FreshContract):
    @pytest.fixture(scope="class")
    @classmethod
    def family(cls):
        return Bert()


class TestDistilBert(FreshContract):
    @pytest.fixture(scope="class")
    @classmethod
    def family(cls):
        return DistilBert()

"""Answers of a network to many examples at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from greenfront.objectives.stages.examples import Examples, TrainingData, trimmed

__all__ = ["in_chunks", "predict", "seen_through"]

CHUNK_NUMBERS, FEWEST_AT_ONCE, MOST_AT_ONCE = 2**20, 16, 32
"""Inputs a forward pass where no gradient is kept: bounds memory, not results."""


def in_chunks(model: nn.Module, inputs: Tensor, padding: int | None = None) -> Iterator[Tensor]:
    """Logits of inputs ``[n, …]``, some at a time, in evaluation mode and without gradients."""
    model.eval()
    at_once = max(FEWEST_AT_ONCE, min(MOST_AT_ONCE, CHUNK_NUMBERS // max(1, inputs[0].numel())))
    for part in torch.split(inputs, at_once):
        with torch.no_grad():
            logits: Tensor = model(trimmed(part, padding))
        yield logits


def predict(model: nn.Module, inputs: Tensor, padding: int | None = None) -> Tensor:
    """Logits ``[n, classes]`` of all inputs; see :func:`in_chunks`."""
    return torch.cat(list(in_chunks(model, inputs, padding)))


def seen_through(body: nn.Module, data: TrainingData) -> TrainingData:
    """What a part of a network that is not trained says of the examples, in their place."""

    def seen(split: Examples) -> Examples:
        return Examples(predict(body, split.inputs, split.padding), split.labels)

    return TrainingData(seen(data.train), seen(data.validation))

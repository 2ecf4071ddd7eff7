"""A split as the stages see it: encoded for one family of networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from greenfront.objectives.tasks.task import Labelled, Task
from greenfront.spaces.architectures.architecture import ModelFamily
from greenfront.spaces.candidate import ArchitectureChoice

__all__ = ["Examples", "TrainingData", "encoded", "trimmed"]

Batch = TypeVar("Batch", NDArray[np.generic], Tensor)


def trimmed(batch: Batch, padding: int | None) -> Batch:
    """Drops columns on the right in which every example holds padding; one at least stays."""
    if padding is None:
        return batch
    used = (batch != padding).any(0)
    return batch[:, : max((i + 1 for i in range(len(used)) if used[i]), default=1)]


@dataclass(frozen=True, slots=True)
class Examples:
    """One split as tensors on the training device.

    Attributes:
        inputs: float32 ``[n, …]``, or int64 token numbers ``[n, tokens]``.
        labels: int64 ``[n]``, or float32 ``[n]`` where they are numbers.
        padding: What fills short inputs up; ``None`` where all have one length.
    """

    inputs: Tensor
    labels: Tensor
    padding: int | None = None

    @classmethod
    def of(cls, split: Labelled, device: str, padding: int | None = None) -> Examples:
        """Moves a split to ``device``."""
        inputs, labels = torch.from_numpy(split.inputs), torch.from_numpy(split.labels)
        return cls(inputs.to(device), labels.to(device), padding)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_numbers(self) -> bool:
        """Whether labels are numbers, not classes."""
        return self.labels.is_floating_point()

    def batch(self, chosen: Tensor | slice) -> Tensor:
        """The inputs of some examples, no longer than the longest of them."""
        return trimmed(self.inputs[chosen], self.padding)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What training may see: never the test split."""

    train: Examples
    validation: Examples

    def first(self, share: float) -> TrainingData:
        """A share of both splits, from their beginning; one example at least."""

        def cut(split: Examples) -> Examples:
            some = slice(0, max(1, round(share * len(split))))
            return Examples(split.inputs[some], split.labels[some], split.padding)

        return TrainingData(cut(self.train), cut(self.validation))

    @classmethod
    def of(cls, task: Task, device: str, padding: int | None = None) -> TrainingData:
        """Moves a task's training and validation splits to ``device``."""
        return cls(
            Examples.of(task.train, device, padding), Examples.of(task.validation, device, padding)
        )


def encoded(task: Task, family: ModelFamily, choice: ArchitectureChoice) -> Task:
    """The task with the inputs that a family's models take; the test split stays as it is."""
    shape, corpus = dict(choice.shape), task.train.inputs

    def encode(split: Labelled) -> Labelled:
        return Labelled(family.encode(shape, split.inputs, corpus), split.labels)

    return Task(task.facts, encode(task.train), encode(task.validation), task.test)

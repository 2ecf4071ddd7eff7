"""What a task is: labelled data, split once, and what a search must know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Labelled", "Split", "Task", "TaskFacts"]

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One split.

    Attributes:
        inputs: float32, ``[n, features]`` for tables and ``[n, channels, height, width]`` for
            images, standardised with the statistics of the training split; no NaN. For texts an
            array of ``str`` objects ``[n]``: each network has its own way to number tokens.
        labels: int64 class indices ``[n]`` in ``0 … classes − 1``.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What the search knows of a task without holding its data.

    Attributes:
        name: The task's name in the study file.
        input_shape: Shape of one input, without the batch axis; ``()`` for a text.
        class_names: One name a class, in index order.
        sizes: Examples in each split, and as ``evaluation`` those of the validation split that
            trials are judged on, where these are not all.
        majority_fraction: Share of the most frequent training class among the examples that
            trials are judged on: the accuracy of a model that has learnt nothing.
        fingerprint: Hash of data and split; equal fingerprints mean the same examples.
        notes: What was done to the data, or is odd about them, one sentence each without its
            capital and full stop: shown by ``plan`` and ``run``.
    """

    name: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    sizes: Mapping[str, int]
    majority_fraction: float
    fingerprint: str
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def is_image(self) -> bool:
        """Whether inputs are ``[channels, height, width]``."""
        return len(self.input_shape) == 3

    @property
    def is_text(self) -> bool:
        """Whether inputs are texts."""
        return self.input_shape == ()


@dataclass(frozen=True, slots=True)
class Task:
    """Labelled data in three splits.

    The search trains on ``train`` and judges on ``validation``; ``test`` is kept for the final
    verification of an exported model and is read by nothing else.

    Attributes:
        facts: What can be known without the data.
        train: What networks are trained on.
        validation: What trials are judged on: the validation split, or a part of it.
        test: What nothing but the final verification reads.
        whole_validation: The validation split, where ``validation`` is only a part of it.
    """

    facts: TaskFacts
    train: Labelled
    validation: Labelled
    test: Labelled
    whole_validation: Labelled | None = None

"""What a task is: labelled data, split once, and what a search must know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.predefined_splits import Split
from greenfront.objectives.tasks.tables.schema import Schema

if TYPE_CHECKING:  # the facts of a task are read without all that its data need
    from greenfront.objectives.tasks.preparation import Preparation

__all__ = ["Labelled", "Split", "TargetScale", "Task", "TaskFacts"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One split.

    Attributes:
        inputs: float32, ``[n, features]`` for tables and ``[n, channels, height, width]`` for
            images, standardised with the statistics of the training split; no NaN. For texts an
            array of ``str`` objects ``[n]``: each network has its own way to number tokens.
        labels: int64 class indices ``[n]`` in ``0 … classes − 1``; for regression float32 ``[n]``,
            standardised by :class:`TargetScale`.
    """

    inputs: NDArray[Any]
    labels: NDArray[Any]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class TargetScale:
    """How the numbers of a regression are standardised; networks learn the standardised ones.

    Attributes:
        mean: Of the training split, in the target's unit.
        deviation: Standard deviation of the training split, in the target's unit; above 0.
        constant_rmse: Root mean squared error of always answering the training split's mean, on
            the examples that trials are judged on, in the target's unit.
        constant_mae: Mean absolute error of always answering the training split's median, there.
        name: The target's name, such as its column; empty where it has none.
    """

    mean: float
    deviation: float
    constant_rmse: float
    constant_mae: float
    name: str = ""

    @property
    def unit(self) -> str:
        """The unit of errors, in words, as far as it is known."""
        return f"in units of {self.name!r}" if self.name else "in units of the target"

    def standardised(self, numbers: NDArray[Any]) -> NDArray[np.float32]:
        """From the target's unit to what networks learn, float32."""
        return ((numbers.astype(np.float64) - self.mean) / self.deviation).astype(np.float32)

    def original(self, standardised: NDArray[Any]) -> NDArray[np.float64]:
        """Inverse of :meth:`standardised`, float64."""
        return np.asarray(self.mean + self.deviation * standardised.astype(np.float64))


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What the search knows of a task without holding its data.

    Attributes:
        name: The task's name in the study file.
        input_shape: Shape of one input, without the batch axis; ``()`` for a text.
        class_names: One name a class, in index order; none where the target is a number.
        sizes: Examples in each split, and as ``evaluation`` those of the validation split that
            trials are judged on, where these are not all.
        majority_fraction: Share of the most frequent training class among the examples that
            trials are judged on: the accuracy of a model that has learnt nothing. 0 for numbers,
            which have none.
        fingerprint: Hash of data and split; equal fingerprints mean the same examples.
        notes: What was done to the data, or is odd about them, one sentence each without its
            capital and full stop: shown by ``plan`` and ``run``.
        class_counts: Examples of each class, by split, and as ``evaluation`` those that trials are
            judged on; none for numbers, and in studies of before.
        target: How numbers are standardised; ``None`` for classes.
        schema: What the columns of a table were taken for; ``None`` for other data.
        folds: Between how many validation splits the examples allow to choose, see
            :mod:`greenfront.objectives.tasks.folds`; 1 where the split is the user's own, or judged
            in part, and in studies of before.
    """

    name: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    sizes: Mapping[str, int]
    majority_fraction: float
    fingerprint: str
    notes: tuple[str, ...] = ()
    class_counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    target: TargetScale | None = None
    schema: Schema | None = None
    folds: int = 1

    @property
    def regression(self) -> bool:
        """Whether the target is a number, not a class."""
        return not self.class_names

    @property
    def leaks(self) -> tuple[str, ...]:
        """Names of the columns that alone predict the target; none where there are no columns."""
        return () if self.schema is None else self.schema.leaks

    @property
    def outputs(self) -> int:
        """Columns of a network's answer: one a class, or 1 for a number."""
        return len(self.class_names) or 1

    @property
    def predicted(self) -> str:
        """What is to be predicted, in words, such as ``"10 classes"``."""
        if not self.regression:
            return f"{self.classes} classes"
        name = self.target.name if self.target is not None else ""
        return f"a number, {name!r}" if name else "a number"

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
        preparation: What makes inputs of raw examples, with a few of the validation split;
            ``None`` where they are held as they are, such as texts.
    """

    facts: TaskFacts
    train: Labelled
    validation: Labelled
    test: Labelled
    whole_validation: Labelled | None = None
    preparation: Preparation | None = None

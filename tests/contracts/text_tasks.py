"""What every task of texts must keep."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from contracts.tasks import TaskContract


class TextTaskContract(TaskContract):
    """Subclasses give a ``settings`` fixture of a task ``notes`` that tells moods.

    Attributes:
        texts: That its file holds.
    """

    texts: ClassVar[Sequence[str]]

    def changed(self, inputs, rows):
        values = inputs.values.copy()
        values[rows] = [f"{text} changed" for text in values[rows]]
        return dataclasses.replace(inputs, values=values)

    def test_types_and_shapes(self, task):
        assert task.facts.is_text
        assert not task.facts.is_image
        assert task.facts.input_shape == ()
        for part in (task.train, task.validation, task.test):
            assert part.inputs.shape == part.labels.shape
            assert {type(text) for text in part.inputs} == {str}
            assert part.labels.dtype == np.int64

    def test_training_inputs_are_standardised(self, task, raw):
        """Texts have nothing to standardise: they reach the task as they are in the file."""
        dealt = [*task.train.inputs, *task.validation.inputs, *task.test.inputs]
        assert sorted(dealt) == sorted(raw.inputs.values) == sorted(self.texts)

    def test_facts(self, task):
        assert task.facts.name == "notes"
        assert task.facts.class_names == ("glad", "none", "sad")

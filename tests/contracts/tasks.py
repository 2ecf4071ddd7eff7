"""What every task must keep, whatever its data."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.tasks.labels import encode_labels
from greenfront.objectives.tasks.load import load_task, read_raw
from greenfront.objectives.tasks.raw import ArrayInputs, Inputs, Raw
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.split import assemble, split_indices
from greenfront.objectives.tasks.task import Split, Task, TaskFacts

SEED = 7


class TaskContract:
    """Subclasses give a ``settings`` fixture, and may give ``cache`` and the two hooks."""

    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls) -> TaskSettings:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def cache(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("cache")

    @pytest.fixture(scope="class")
    @classmethod
    def raw(cls, settings: TaskSettings, cache: Path) -> Raw:
        return read_raw(settings, cache=cache)

    @pytest.fixture(scope="class")
    @classmethod
    def task(cls, settings: TaskSettings, cache: Path) -> Task:
        return load_task(settings, cache=cache, seed=SEED)

    @pytest.fixture(scope="class")
    @classmethod
    def indices(cls, raw: Raw, settings: TaskSettings) -> dict[Split, np.ndarray]:
        labels, _ = encode_labels(raw.labels, raw.source)
        return split_indices(
            labels,
            validation_fraction=settings.validation_fraction,
            test_fraction=settings.test_fraction,
            seed=SEED,
            own=raw.own,
        )

    def changed(self, inputs: Inputs, rows: np.ndarray) -> Inputs:
        """Gives inputs that differ in these rows; override for others than ``ArrayInputs``."""
        assert isinstance(inputs, ArrayInputs)
        pixels = inputs.values.dtype == np.uint8
        values = inputs.values.astype(np.uint8 if pixels else np.float64)
        values[rows] = 255 - values[rows] if pixels else 100 - 3 * values[rows]
        return dataclasses.replace(inputs, values=values)

    def standardised(self, inputs: np.ndarray) -> np.ndarray:
        """Gives the inputs that must be standardised; override where some must not."""
        return inputs

    def test_splits_are_disjoint_and_cover_everything(self, raw, task, indices) -> None:
        everything = np.concatenate(list(indices.values()))
        np.testing.assert_array_equal(np.sort(everything), np.arange(len(raw.inputs)))
        assert sum(task.facts.sizes.values()) == len(raw.inputs)

    def test_splits_hold_the_examples_they_are_said_to_hold(self, raw, task, indices) -> None:
        labels, names = encode_labels(raw.labels, raw.source)
        inputs = raw.inputs.encode(indices["train"])
        assert task.facts.class_names == names
        for split, rows in indices.items():
            part = getattr(task, split)
            assert len(part) == task.facts.sizes[split] == len(part.inputs)
            np.testing.assert_array_equal(part.labels, labels[rows])
            np.testing.assert_array_equal(part.inputs, inputs[rows])

    def test_every_class_has_its_fraction_of_every_split(self, raw, task, settings) -> None:
        counts = np.unique(raw.labels, return_counts=True)[1]
        for part, fraction in [
            (task.validation, settings.validation_fraction),
            (task.test, settings.test_fraction),
        ]:
            dealt = np.bincount(part.labels, minlength=len(counts))
            assert np.all(np.abs(dealt - fraction * counts) <= 1)
            assert np.all(dealt >= 1)
        assert np.all(np.bincount(task.train.labels, minlength=len(counts)) >= 1)

    def test_same_seed_gives_the_same_task(self, task, settings, cache) -> None:
        again = load_task(settings, cache=cache, seed=SEED)
        assert again.facts == task.facts
        np.testing.assert_array_equal(again.train.inputs, task.train.inputs)
        np.testing.assert_array_equal(again.test.labels, task.test.labels)

    def test_other_seed_gives_another_split(self, task, raw, settings) -> None:
        other = assemble(raw, settings, seed=SEED + 1)
        assert other.facts.fingerprint != task.facts.fingerprint
        assert other.facts.sizes == task.facts.sizes
        assert not np.array_equal(other.train.inputs, task.train.inputs)

    def test_types_and_shapes(self, task) -> None:
        for part in (task.train, task.validation, task.test):
            assert part.inputs.dtype == np.float32
            assert part.labels.dtype == np.int64
            assert part.inputs.shape[1:] == task.facts.input_shape
            assert len(task.facts.input_shape) in (1, 3)
            assert np.isfinite(part.inputs).all()
            assert set(np.unique(part.labels)) <= set(range(task.facts.classes))

    def test_training_inputs_are_standardised(self, task) -> None:
        inputs = self.standardised(task.train.inputs).astype(np.float64)
        axes = (0, 2, 3) if inputs.ndim == 4 else (0,)
        deviation = inputs.std(axis=axes)
        # Pixels are centred by whole means.
        np.testing.assert_allclose(inputs.mean(axis=axes), 0, atol=1 / 32 if axes[1:] else 1e-4)
        constant = np.ptp(inputs, axis=axes) == 0
        np.testing.assert_allclose(deviation, np.where(constant, 0, 1), atol=1e-4)

    def test_held_out_inputs_do_not_reach_the_training_inputs(
        self, task, raw, settings, indices
    ) -> None:
        held_out = np.concatenate([indices["validation"], indices["test"]])
        altered = dataclasses.replace(raw, inputs=self.changed(raw.inputs, held_out))
        other = assemble(altered, settings, seed=SEED)
        np.testing.assert_array_equal(other.train.inputs, task.train.inputs)
        assert not np.array_equal(other.test.inputs, task.test.inputs)
        assert other.facts.fingerprint != task.facts.fingerprint

    def test_majority_fraction(self, task) -> None:
        counts = [int(np.sum(task.train.labels == label)) for label in range(task.facts.classes)]
        hits = int(np.sum(task.validation.labels == counts.index(max(counts))))
        assert task.facts.majority_fraction == pytest.approx(hits / len(task.validation))

    def test_facts_survive_json(self, task) -> None:
        assert from_json(TaskFacts, json.loads(json.dumps(to_json(task.facts)))) == task.facts

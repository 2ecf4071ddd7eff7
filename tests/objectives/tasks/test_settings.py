from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from greenfront.errors import DataError
from greenfront.objectives.tasks.settings import TaskSettings, kinds


def test_kinds():
    assert kinds() == (
        "digits",
        "mnist5k",
        "csv",
        "text",
        "images",
        "arrays",
        "hf-dataset:OWNER/NAME",
        "torchvision:NAME",
        "module:function",
    )


def test_settings_import_no_numpy():
    code = "import greenfront.objectives.tasks.settings, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_name_is_the_file_or_the_kind():
    assert TaskSettings(kind="csv", path="/data/wine.csv", target="class").name == "wine"
    assert TaskSettings(kind="images", path="/data/pets").name == "pets"
    assert TaskSettings(kind="digits").name == "digits"
    assert TaskSettings(kind="my_data:load").name == "my_data:load"
    assert TaskSettings(kind="torchvision:MNIST", path="/data").name == "MNIST"
    assert TaskSettings(kind="hf-dataset:ylecun/mnist").name == "mnist"


def test_later_keys_are_no_part_of_what_tasks_were_without_them():
    plain = TaskSettings(kind="hf-dataset:a/b")
    later = {"eval_fraction", "image_column", "subset", "test_path", "split_column"}
    assert later.isdisjoint(plain.identity())
    assert dataclasses.replace(plain, eval_fraction=0.5).identity() == plain.identity()
    assert dataclasses.replace(plain, subset="s").identity()["subset"] == "s"
    assert dataclasses.replace(plain, path="/a").identity() == plain.identity()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"kind": "digts"},
            r"kind 'digts' is unknown. Did you mean 'digits'\? Choose one of: 'digits', 'mn",
        ),
        ({"kind": "video"}, r"'video' is unknown. Choose one of: 'digits', 'mnist5k', 'csv'"),
        ({"kind": "csv", "target": "y"}, "'csv' needs 'path', which is not set: set it"),
        ({"kind": "csv", "path": "/a.csv"}, "'csv' needs 'target'"),
        ({"kind": "images"}, "'images' needs 'path'"),
        ({"kind": "text", "path": "/a.csv"}, "'text' needs 'target', which is not set: set it"),
        ({"kind": "text", "target": "y"}, "'text' needs 'path'"),
        (
            {"kind": "csv", "path": "/a", "target": "y", "text_column": "t"},
            "'csv' has no use for 'text_column', which is 't': remove",
        ),
        ({"kind": "arrays"}, "'arrays' needs 'path'"),
        ({"kind": "digits", "path": "/a"}, "'digits' has no use for 'path', which is '/a': remove"),
        ({"kind": "arrays", "path": "/a", "image_size": 8}, "no use for 'image_size', which is 8"),
        ({"kind": "arrays", "path": "a.npz"}, r"path 'a.npz' must be absolute: .*/a.npz"),
        ({"validation_fraction": 0.0}, "validation_fraction must lie between 0 and 1, but is 0.0"),
        ({"test_fraction": 1.5}, "test_fraction must lie between 0 and 1, but is 1.5"),
        ({"test_fraction": float("nan")}, "test_fraction must lie between 0 and 1, but is nan"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, "add up to 1: lower one"),
        ({"kind": "images", "path": "/a", "image_size": 0}, "image_size .* at least 1 .* is 0"),
        ({"kind": "images", "path": "/a", "channels": 2}, "channels must be 1 .* or 3 .* is 2"),
        ({"eval_fraction": 0.0}, "eval_fraction must lie above 0 and be at most 1, but is 0.0: 1"),
        ({"eval_fraction": 1.1}, "eval_fraction .* but is 1.1"),
        ({"eval_fraction": float("nan")}, "eval_fraction .* but is nan"),
        ({"kind": "torchvision:"}, "'torchvision:' must name a data set, as in 'torchvision:MNIST"),
        ({"kind": "hf-dataset:"}, "must name a data set, as in 'hf-dataset:ylecun/mnist'"),
        ({"kind": "hf-dataset"}, "'hf-dataset' is unknown. Did you mean 'hf-dataset:OWNER/NAME'"),
        ({"kind": "torchvision:MNIST", "target": "y"}, "'torchvision:MNIST' has no use for 'targe"),
        ({"kind": "torchvision:MNIST", "path": "data"}, "path 'data' must be absolute"),
        (
            {"kind": "hf-dataset:a/b", "path": "/a", "subset": "s"},
            "'hf-dataset:a/b' takes one of 'subset' and 'path', but both are set, to 's' and '/a'",
        ),
        (
            {"kind": "hf-dataset:a/b", "text_column": "t", "image_column": "i"},
            "takes one of 'text_column' and 'image_column'",
        ),
        ({"kind": "csv", "path": "/a", "target": "y", "subset": "s"}, "no use for 'subset'"),
    ],
)
def test_bad_settings_are_refused(keys, message):
    with pytest.raises(DataError, match=message):
        TaskSettings(**{"kind": "digits", **keys})

from __future__ import annotations

import dataclasses
import zipfile

import numpy as np
import pytest

from contracts.tasks import TaskContract
from greenfront.errors import DataError
from greenfront.objectives.tasks.load import load_task, read_raw
from greenfront.objectives.tasks.settings import TaskSettings

RNG = np.random.default_rng(0)
LABELS = np.arange(30) % 3


def written(tmp_path, **arrays) -> TaskSettings:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return TaskSettings(kind="arrays", path=str(path))


class TestTables(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        inputs = RNG.normal(5, 3, (30, 4))
        inputs[:, 2] = 0.1
        return written(tmp_path_factory.mktemp("arrays"), inputs=inputs, labels=LABELS)


class TestColourImages(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        inputs = RNG.integers(0, 256, (30, 5, 6, 3), dtype=np.uint8)
        names = np.array(["cat", "dog", "eel"])[LABELS]
        return written(tmp_path_factory.mktemp("arrays"), X=inputs, y=names)

    def test_shape(self, task):
        assert task.facts.name == "data"
        assert task.facts.input_shape == (3, 5, 6)
        assert task.facts.is_image
        assert task.facts.class_names == ("cat", "dog", "eel")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((30, 4), (30, 4)),
        ((30, 5, 6), (30, 1, 5, 6)),
        ((30, 1, 5, 6), (30, 1, 5, 6)),
        ((30, 3, 5, 6), (30, 3, 5, 6)),
        ((30, 5, 6, 1), (30, 1, 5, 6)),
        ((30, 5, 6, 3), (30, 3, 5, 6)),
        ((30, 3, 6, 3), (30, 3, 6, 3)),
    ],
)
def test_axes_are_brought_into_order(tmp_path, shape, expected):
    settings = written(tmp_path, x=RNG.random(shape), y=LABELS)
    assert read_raw(settings, cache=tmp_path).inputs.values.shape == expected


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", ">f8"])
def test_numbers_of_any_type_are_read(tmp_path, dtype):
    inputs = RNG.integers(0, 2, (30, 4)).astype(dtype)
    task = load_task(written(tmp_path, x=inputs, y=LABELS), cache=tmp_path, seed=0)
    assert task.train.inputs.dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"data": np.ones(3), "labels": LABELS},
            r"data.npz: .* named 'inputs' or 'x' or 'X', but the file holds 'data', 'labels': ren",
        ),
        ({"x": np.ones((30, 2))}, "data.npz: .* 'labels' or 'y', but the file holds 'x'"),
        (
            {"x": np.array([[1, "a"]], dtype=object), "y": LABELS},
            "data.npz: array 'x' must hold plain .* pickled objects.*astype",
        ),
        (
            {"x": np.ones((30, 2)), "y": np.array(["a", None] * 15, dtype=object)},
            "data.npz: array 'y' must hold plain .* pickled objects",
        ),
        (
            {"x": np.ones((30, 2)) * 1j, "y": LABELS},
            "data.npz: inputs must be real numbers, but their dtype is complex128: convert",
        ),
        ({"x": np.full((30, 2), "a"), "y": LABELS}, "data.npz: .* their dtype is <U1"),
        ({"x": np.ones((30, 2, 5, 5)), "y": LABELS}, r"data.npz: .* shape is \(30, 2, 5, 5\)"),
        ({"x": np.ones(30), "y": LABELS}, r"data.npz: .* shape is \(30,\): reshape"),
        ({"x": np.ones((0, 2)), "y": LABELS[:0]}, r"data.npz: .* empty, but .* \(0, 2\)"),
        ({"x": np.ones((29, 2)), "y": LABELS}, "data.npz: .* 29 inputs and 30 labels"),
        (
            {"x": np.array([[1, np.nan, np.inf]] * 30), "y": LABELS},
            "data.npz: inputs must be finite, but .* 30 in feature 1, 30 in feature 2: fill",
        ),
        (
            {"x": np.full((30, 4, 4), np.nan), "y": LABELS},
            "data.npz: inputs must be finite, but .* 480 in channel 0: fill",
        ),
        ({"x": np.ones((30, 2)), "y": np.zeros(30)}, r"data.npz: .* 2 classes, but hold 1 \(0\)"),
    ],
)
def test_bad_arrays_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load_task(written(tmp_path, **arrays), cache=tmp_path, seed=0)


def test_files_that_are_no_npz_are_refused(tmp_path):
    path = tmp_path / "data.npz"
    settings = TaskSettings(kind="arrays", path=str(path))
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"data.npz: this must be an .npz file, but is not: write"):
        read_raw(settings, cache=tmp_path)
    with path.open("wb") as file:
        np.save(file, LABELS)
    with pytest.raises(DataError, match=r"data.npz: this must be an .npz file, but is not: write"):
        read_raw(settings, cache=tmp_path)


def test_archives_of_other_files_are_refused(tmp_path):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "no array")
    with pytest.raises(DataError, match=r"data.npz: 'x' must be an array, but is a file of anoth"):
        read_raw(TaskSettings(kind="arrays", path=str(path)), cache=tmp_path)


def test_damaged_files_are_refused(tmp_path):
    settings = written(tmp_path, inputs=RNG.random((30, 4)), labels=LABELS)
    path = tmp_path / "data.npz"
    content = bytearray(path.read_bytes())
    content[300:320] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data.npz: this file cannot be read .*CRC.*write it aga"):
        read_raw(settings, cache=tmp_path)


def test_missing_files_are_refused(tmp_path):
    settings = TaskSettings(kind="arrays", path=str(tmp_path / "none.npz"))
    with pytest.raises(DataError, match=r"none.npz: this file must exist, but does not"):
        read_raw(settings, cache=tmp_path)
    with pytest.raises(DataError, match="'arrays' needs a file, but this is a folder"):
        read_raw(dataclasses.replace(settings, path=str(tmp_path)), cache=tmp_path)

from __future__ import annotations

import dataclasses
import io
import json

import datasets
import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Sequence, Value
from PIL import Image

from contracts.hf_data import NAMES, TEXTS, at, images, pixels, read, saved, texts
from contracts.own_test_split import OwnTestSplitContract
from contracts.tasks import SEED, TaskContract
from contracts.text_tasks import TextTaskContract
from greenfront.errors import DataError
from greenfront.objectives.tasks import image_decoding
from greenfront.objectives.tasks.load import load_task


@pytest.fixture(autouse=True, scope="module")
def no_bars():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


class TextContract(TextTaskContract):
    texts = TEXTS["text"]


class TestSavedTexts(TextContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        return saved(tmp_path_factory.mktemp("hf") / "notes", texts())


class TestSavedTextsWithTestSplit(TextContract, OwnTestSplitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        splits = {"train": texts(slice(21)), "test": texts(slice(21, 30))}
        return saved(tmp_path_factory.mktemp("hf") / "notes", DatasetDict(splits))


class TestJsonLinesWithTestSplit(TextContract, OwnTestSplitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        folder = tmp_path_factory.mktemp("hf")
        (folder / "test").mkdir()
        for name, rows in (("train.jsonl", range(21)), ("test/part.jsonl", range(21, 30))):
            lines = [
                json.dumps({"text": TEXTS["text"][row], "label": NAMES[TEXTS["label"][row]]})
                for row in rows
            ]
            (folder / name).write_text("\n".join(lines), encoding="utf-8")
        return at(folder)


class TestCsv(TextContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        folder = tmp_path_factory.mktemp("hf [1]*")
        frame = pd.DataFrame({**TEXTS, "label": [NAMES[label] for label in TEXTS["label"]]})
        frame[:20].to_csv(folder / "a.csv", index=False)
        frame[20:].to_csv(folder / "b.csv", index=False)
        return at(folder)


class TestSavedImages(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        return saved(tmp_path_factory.mktemp("hf") / "pictures", images(18))

    def test_images_are_those_of_the_files(self, raw):
        expected = np.array(pixels(18)).transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(raw.inputs.values, expected)
        assert raw.labels.tolist() == NAMES * 6
        assert raw.own.is_test is None


class TestParquetImages(OwnTestSplitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        folder = tmp_path_factory.mktemp("hf")
        parts = [images(12), images(6, seed=1), images(9, seed=2), images(3, seed=3)]
        names = ("train-0-of-2", "train-1-of-2", "test-0-of-1", "validation-0-of-1")
        for name, part in zip(names, parts, strict=True):
            part.to_parquet(folder / f"{name}.parquet")
        return at(folder)

    def test_other_splits_are_left_alone(self, raw):
        expected = np.array([*pixels(12), *pixels(6, seed=1), *pixels(9, seed=2)])
        np.testing.assert_array_equal(raw.inputs.values, expected.transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(np.flatnonzero(raw.own.is_test), np.arange(18, 27))


def test_saved_files_and_lines_are_the_same_data(tmp_path):
    texts().save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "files").mkdir()
    texts().to_parquet(tmp_path / "files" / "data.parquet")
    tasks = [load_task(at(tmp_path / name), cache=tmp_path, seed=0) for name in ("saved", "files")]
    assert tasks[0].facts == tasks[1].facts


@pytest.mark.parametrize("name", ["holdout", "mood-tst"])
def test_files_may_be_named_by_any_word_for_a_split(tmp_path, name):
    folder = tmp_path / "files"
    folder.mkdir()
    texts().to_parquet(folder / "trn.parquet")
    texts().to_parquet(folder / f"{name}.parquet")
    raw = read(at(folder), tmp_path)
    np.testing.assert_array_equal(np.flatnonzero(raw.own.is_test), np.arange(30, 60))


def test_changed_files_are_read_again(tmp_path):
    (tmp_path / "files").mkdir()
    images(9).to_parquet(tmp_path / "files" / "data.parquet")
    first = read(at(tmp_path / "files"), tmp_path).inputs.values
    images(9, seed=1).to_parquet(tmp_path / "files" / "data.parquet")
    assert not np.array_equal(read(at(tmp_path / "files"), tmp_path).inputs.values, first)


def test_images_are_decoded_once(tmp_path, monkeypatch):
    settings = saved(tmp_path / "pictures", images(9))
    first = load_task(settings, cache=tmp_path / "cache", seed=SEED)
    decoded = []
    decode = image_decoding.values_of
    monkeypatch.setattr(
        image_decoding, "values_of", lambda *keys: decoded.append(keys) or decode(*keys)
    )
    assert load_task(settings, cache=tmp_path / "cache", seed=SEED).facts == first.facts
    assert decoded == []
    read(dataclasses.replace(settings, image_size=4), tmp_path)
    assert len(decoded) == 9


def test_nothing_but_the_cache_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "elsewhere")
    (tmp_path / "files").mkdir()
    images(9).to_parquet(tmp_path / "files" / "data.parquet")
    read(at(tmp_path / "files"), tmp_path)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "files"]
    assert [item.name for item in (tmp_path / "files").iterdir()] == ["data.parquet"]


def test_images_may_be_plain_bytes(tmp_path):
    (tmp_path / "files").mkdir()
    held = []
    for values in pixels(9):
        file = io.BytesIO()
        Image.fromarray(values).save(file, "png")
        held.append(file.getvalue())
    cells = [{"bytes": content, "path": None} for content in held]
    frame = pd.DataFrame({"cell": cells, "raw": held, "label": NAMES * 3})
    frame.to_parquet(tmp_path / "files" / "data.parquet")
    expected = np.array(pixels(9)).transpose(0, 3, 1, 2)
    for keys in ({}, {"image_column": "cell"}, {"image_column": "raw"}):
        raw = read(at(tmp_path / "files", **keys), tmp_path)
        np.testing.assert_array_equal(raw.inputs.values, expected)
        assert raw.labels.tolist() == NAMES * 3


def test_images_may_be_files(tmp_path):
    values = pixels(3)
    for index in range(3):
        Image.fromarray(values[index]).save(tmp_path / f"{index}.png")
    cells = [{"bytes": None, "path": str(tmp_path / f"{index}.png")} for index in range(3)]
    features = Features({"image": datasets.Image(), "label": ClassLabel(names=NAMES)})
    data = Dataset.from_dict({"image": cells, "label": [0, 1, 2]}, features=features)
    data.to_parquet(tmp_path / "data.parquet", batch_size=3)
    np.testing.assert_array_equal(
        read(at(tmp_path), tmp_path).inputs.values, np.array(values).transpose(0, 3, 1, 2)
    )


def test_one_of_several_columns_of_images_may_be_chosen(tmp_path):
    second = images(9, column="second", seed=1).remove_columns("label")
    both = datasets.concatenate_datasets([images(9), second], axis=1)
    settings = saved(tmp_path / "pictures", both)
    with pytest.raises(DataError, match=r"one column of images, .* are 2 \('image', 'second'\): n"):
        read(settings, tmp_path)
    chosen = read(dataclasses.replace(settings, image_column="second"), tmp_path)
    expected = np.array(pixels(9, seed=1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(chosen.inputs.values, expected)


def test_texts_beside_images_may_be_chosen(tmp_path):
    data = images(30).add_column("caption", TEXTS["text"])
    settings = saved(tmp_path / "pictures", data, text_column="caption")
    assert read(settings, tmp_path).inputs.values.tolist() == TEXTS["text"]


def test_another_column_may_hold_the_classes(tmp_path):
    data = texts().rename_columns({"label": "mood", "text": "body"})
    settings = saved(tmp_path / "notes", data, target="mood", text_column="body")
    assert read(settings, tmp_path).labels.tolist() == [NAMES[label] for label in TEXTS["label"]]


@pytest.mark.parametrize(
    ("feature", "labels", "names"),
    [
        (ClassLabel(names=["2", "10", "9"]), [0, 1, 2], ("2", "9", "10")),
        (ClassLabel(names=["02", "2", "9"]), [0, 1, 2], ("02", "2", "9")),
        (ClassLabel(num_classes=3), [2, 1, 0], ("0", "1", "2")),
        (Value("int8"), [10, -1, 9], ("-1", "9", "10")),
        (Value("bool"), [True, False, True], ("False", "True")),
        (Value("string"), ["b", "NA", "a"], ("NA", "a", "b")),
        (Value("float64"), [1.0, 2.0, 3.0], ("1", "2", "3")),
    ],
)
def test_labels_of_every_type(tmp_path, feature, labels, names):
    data = texts(label=labels * 10, features=Features({"text": Value("string"), "label": feature}))
    task = load_task(saved(tmp_path / "notes", data), cache=tmp_path / "cache", seed=0)
    assert task.facts.class_names == names


@pytest.mark.parametrize("secret", ["unlabelled", "absent"])
def test_test_splits_without_labels_are_not_used(tmp_path, secret):
    test = texts(slice(21, 30), label=[-1] * 30)
    if secret == "absent":
        test = test.remove_columns("label")
    data = DatasetDict(train=texts(slice(21)), validation=texts(slice(3)), test=test)
    raw = read(saved(tmp_path / "notes", data), tmp_path)
    assert raw.own.is_test is None
    assert raw.inputs.values.tolist() == TEXTS["text"][:21]


def test_labels_between_whole_numbers_make_a_regression(tmp_path):
    features = Features({"text": Value("string"), "label": Value("float64")})
    data = texts(label=list(np.linspace(0, 1, 30)), features=features)
    task = load_task(saved(tmp_path / "notes", data), cache=tmp_path / "cache", seed=0)
    assert task.facts.regression
    labels = np.concatenate([part.labels for part in (task.train, task.validation, task.test)])
    found = np.sort(task.facts.target.original(labels))
    np.testing.assert_allclose(found, np.linspace(0, 1, 30), atol=1e-6)


@pytest.mark.parametrize(
    ("columns", "feature", "message"),
    [
        (
            {"label": [[0]] * 30},
            Sequence(Value("int64")),
            "target must name a column of classes, .* 'label' holds List.*: name another column",
        ),
        (
            {"label": [0, None, 1] * 10},
            ClassLabel(names=NAMES),
            "split 'train': every example needs a label, but 10 of 30 have none in 'label': label",
        ),
        ({"label": [-1, 0, 1] * 10}, ClassLabel(names=NAMES), "label, but 10 of 30 have none"),
        ({"label": ["a", " ", "b"] * 10}, Value("string"), "label, but 10 of 30 have none"),
        ({"label": [1.0, float("nan")] * 15}, Value("float32"), "label, but 15 of 30 have none"),
        ({"label": ["a"] * 30}, Value("string"), "notes: labels must name at least 2 classes"),
        (
            {"text": ["a", None, "b"] * 10},
            ClassLabel(names=NAMES),
            r"every row needs a text, but 10 of 30 \(the first is row 2 of split 'train'\) have",
        ),
    ],
)
def test_bad_rows_are_refused(tmp_path, columns, feature, message):
    features = Features({"text": Value("string"), "label": feature})
    settings = saved(tmp_path / "notes", texts(**columns, features=features))
    with pytest.raises(DataError, match=message):
        load_task(settings, cache=tmp_path / "cache", seed=0)


def test_labels_must_be_alike_in_both_splits(tmp_path):
    features = Features({"text": Value("string"), "label": Value("string")})
    data = DatasetDict(train=texts(slice(21)), test=texts(slice(21, 30)))
    other = texts(slice(21, 30), label=list("abc") * 10, features=features)
    assert len(read(saved(tmp_path / "one", data), tmp_path).labels) == 30
    data = DatasetDict(train=texts(slice(21), features=None), test=other)
    with pytest.raises(DataError, match=r"'label' must hold labels of one type, but holds Value\("):
        read(saved(tmp_path / "two", data), tmp_path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"target": "lable"}, r"target .* no column 'lable'. Did you mean 'label'\? Choose one of"),
        ({"text_column": "txt"}, r"text_column .* no column 'txt'. Did you mean 'text'\?"),
        ({"image_column": "picture"}, "image_column .* no column 'picture'. Choose one of: 'text'"),
        (
            {"image_column": "text"},
            r"image_column .* of images, but 'text' holds Value\('string'\)",
        ),
        ({"text_column": "label"}, "text_column and target must be two columns, .* 'label'"),
        ({"image_size": 8}, "inputs are texts, which have no use for 'image_size': remove it"),
        ({"channels": 1}, "inputs are texts, which have no use for 'channels': remove it"),
    ],
)
def test_keys_that_do_not_fit_are_refused(tmp_path, keys, message):
    with pytest.raises(DataError, match=rf"notes: (the )?{message}"):
        read(saved(tmp_path / "notes", texts(), **keys), tmp_path)


def test_inputs_must_be_found(tmp_path):
    data = texts().rename_column("text", "body")
    with pytest.raises(
        DataError, match=r"images or one of texts, 'text', .* 'body', 'label'|'label"
    ):
        read(saved(tmp_path / "notes", data), tmp_path)


def test_images_that_cannot_be_read_are_named(tmp_path):
    cells = [{"bytes": b"no image", "path": None}] * 3
    features = Features({"image": datasets.Image(), "label": ClassLabel(names=NAMES)})
    data = Dataset.from_dict({"image": cells, "label": [0, 1, 2]}, features=features)
    with pytest.raises(
        DataError, match=r"notes, row 1 of split 'train': every image must be reada"
    ):
        read(saved(tmp_path / "notes", data), tmp_path)
    for cell, words in (
        (None, "has none"),
        ({"bytes": None, "path": "a.png"}, "not here, 'a.png'"),
    ):
        held = [cell, cells[0], {"bytes": b"", "path": "b.png"}]
        data = Dataset.from_dict({"image": held, "label": [0, 1, 2]}, features=features)
        (tmp_path / "files").mkdir(exist_ok=True)
        data.data.table.to_pandas().to_parquet(tmp_path / "files" / "data.parquet")
        with pytest.raises(DataError, match=rf"row 1 .*: every row needs an image, .*{words}"):
            read(at(tmp_path / "files", image_column="image"), tmp_path)

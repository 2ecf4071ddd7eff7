from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from contracts.tasks import SEED, TaskContract
from greenfront.errors import DataError
from greenfront.objectives.tasks.load import load_task, read_raw
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.table import Table


def wine() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(90),
            "alcohol": rng.normal(12, 1, 90),
            "bottles": rng.integers(1, 9, 90),
            "organic": rng.random(90) < 0.5,
            "constant": 0.1,
            "country": rng.choice(["fr", "it", "pt"], 90),
            "class": ["red", "white", "rosé"] * 30,
        }
    )


def written(tmp_path, frame, **keys) -> TaskSettings:
    path = tmp_path / "wine.csv"
    frame.to_csv(path, index=False)
    return TaskSettings(**{"kind": "csv", "path": str(path), "target": "class", **keys})


def written_text(tmp_path, text) -> TaskSettings:
    path = tmp_path / "wine.csv"
    path.write_text(text, encoding="utf-8")
    return TaskSettings(kind="csv", path=str(path), target="class")


class TestCsv(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        return written(tmp_path_factory.mktemp("csv"), wine(), drop_columns=("id",))

    def changed(self, inputs, rows):
        numbers, codes = inputs.numbers.copy(), inputs.codes.copy()
        numbers[rows] = 100 - 3 * numbers[rows]
        codes[rows] = len(inputs.levels[0])
        levels = ((*inputs.levels[0], "xx"),)
        return dataclasses.replace(inputs, numbers=numbers, codes=codes, levels=levels)

    def standardised(self, inputs):
        return inputs[:, :4]

    def test_columns(self, task, raw, settings):
        assert task.facts.name == "wine"
        assert task.facts.input_shape == (7,)
        assert task.facts.class_names == ("red", "rosé", "white")
        assert raw.inputs.number_names == ("alcohol", "bottles", "organic", "constant")
        assert raw.inputs.levels == (("fr", "it", "pt"),)
        np.testing.assert_array_equal(task.train.inputs[:, 4:].sum(axis=1), 1)
        np.testing.assert_array_equal(task.test.inputs[:, 3], 0)


def test_text_unseen_in_training_becomes_zeros():
    table = Table(
        source="toy",
        number_names=(),
        numbers=np.empty((4, 0)),
        text_names=("country",),
        codes=np.array([[2], [0], [2], [1]]),
        levels=(("fr", "it", "pt"),),
    )
    encoded = table.encode(np.array([0, 1]))
    np.testing.assert_array_equal(encoded, [[0, 1], [1, 0], [0, 1], [0, 0]])
    assert encoded.dtype == np.float32


@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
def test_separators(tmp_path, separator):
    rows = [["\ufeffalcohol", "class"], *([str(index), "ab"[index % 2]] for index in range(12))]
    settings = written_text(tmp_path, "\n".join(separator.join(row) for row in rows))
    task = load_task(settings, cache=tmp_path, seed=0)
    assert task.facts.input_shape == (1,)
    assert task.facts.class_names == ("a", "b")


def test_integer_targets_are_named_as_written(tmp_path):
    settings = written(tmp_path, wine().assign(**{"class": [3, 1, 2] * 30}))
    assert load_task(settings, cache=tmp_path, seed=0).facts.class_names == ("1", "2", "3")


def test_nothing_but_the_cache_is_written(tmp_path):
    settings = written(tmp_path, wine())
    load_task(settings, cache=tmp_path / "cache", seed=SEED)
    assert [item.name for item in tmp_path.iterdir()] == ["wine.csv"]


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        (
            {},
            {"target": "clas"},
            r"wine.csv: target .* no column 'clas'. Did you mean 'class'\? Choose one of: 'id', ",
        ),
        (
            {},
            {"drop_columns": ("ID",)},
            "wine.csv: drop_columns .* no column 'ID'. Choose one of: 'id', 'alco",
        ),
        (
            {"class": ["red", None, "white"] * 30},
            {},
            "wine.csv: every row needs a target, but 30 of 90 rows have none in 'class': fill",
        ),
        ({"class": "red"}, {}, r"wine.csv: .* at least 2 classes, but hold 1 \('red'\)"),
        ({"class": ["red"] * 88 + ["white"] * 2}, {}, "wine.csv: .* only 2 in class 'white'"),
        (
            {"alcohol": [np.nan, 1, np.inf] * 30, "country": ["fr", "it", None] * 30},
            {},
            "wine.csv: features .* 60 in 'alcohol', 30 in 'country' .*drop_columns",
        ),
        (
            {"id": [f"bottle {index % 1100}" for index in range(1200)]},
            {},
            "wine.csv: a text column must have at most 1000 .* 'id' has 1100.*drop_columns",
        ),
    ],
)
def test_bad_tables_are_refused(tmp_path, change, keys, message):
    frame = wine()
    rows = max([len(frame), *(len(values) for values in change.values() if values != "red")])
    frame = frame.loc[np.arange(rows) % len(frame)].reset_index(drop=True).assign(**change)
    with pytest.raises(DataError, match=message):
        load_task(written(tmp_path, frame, **keys), cache=tmp_path, seed=0)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([*map(str, range(199)), "?"], r"199 of the 200 .* and 1 are not \('\?' in row 200; the"),
        (
            ["1,5", "n/a?", " - ", "12 kg", *np.linspace(0, 1, 56).tolist()],
            r"56 of the 60 .* 4 are not \('1,5' in row 1, 'n/a\?' in row 2, '- ' in row 3, …; the",
        ),
        (["none given"] + ["7"] * 9, r"9 of the 10 .* \('none given' in row 1; the"),
    ],
)
def test_numbers_with_a_few_texts_among_them_are_refused(tmp_path, cells, told):
    frame = pd.DataFrame({"mass": cells, "class": ["red", "white"] * (len(cells) // 2)})
    with pytest.raises(DataError, match=rf"wine.csv: .*{told} .*: correct .* drop_columns") as no:
        read_raw(written(tmp_path, frame), cache=tmp_path)
    assert "cells of 'mass' are numbers" in str(no.value)
    read_raw(written(tmp_path, frame.assign(size=1), drop_columns=("mass",)), cache=tmp_path)


@pytest.mark.parametrize(
    "cells", [["7"] * 5 + ["?"], ["7"] * 17 + ["few", "many"], ["D1", "D2"] * 9]
)
def test_texts_may_have_numbers_among_them(tmp_path, cells):
    classes = [*"ab" * len(cells)][: len(cells)]
    settings = written(tmp_path, pd.DataFrame({"mass": cells, "class": classes}))
    assert read_raw(settings, cache=tmp_path).inputs.text_names == ("mass",)


def test_a_target_may_be_a_number(tmp_path):
    frame = pd.concat([wine()] * 2).assign(**{"class": np.linspace(0, 1, 180)})
    task = load_task(written(tmp_path, frame), cache=tmp_path, seed=0)
    assert task.facts.regression
    assert task.facts.target is not None
    assert task.facts.target.unit == "in units of 'class'"


def test_a_table_needs_features(tmp_path):
    frame = wine()[["id", "class"]]
    with pytest.raises(DataError, match=r"wine.csv: .* at least one feature .* are id, class: add"):
        read_raw(written(tmp_path, frame, drop_columns=("id",)), cache=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "wine.csv: this must be a CSV file .* cannot be read"),
        ("a,class\n1,x\n1,2,3\n", r"wine.csv: .* cannot be read \(.*line 3.*\): correct"),
        ("a,class\n1,x,\n1,y,\n", "wine.csv: every row .* more than its 2: name every column"),
        ("a,class\n", r"wine.csv: .* at least 2 classes, but hold 0 \(there are no examples\)"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_task(written_text(tmp_path, text), cache=tmp_path, seed=0)


def test_files_in_another_encoding_are_refused(tmp_path):
    settings = written_text(tmp_path, "")
    (tmp_path / "wine.csv").write_bytes("a,class\n1,rosé\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"wine.csv: this must be a CSV file in UTF-8 .* byte 0xe9"):
        read_raw(settings, cache=tmp_path)


def test_missing_files_and_folders_are_refused(tmp_path):
    missing = TaskSettings(kind="csv", path=str(tmp_path / "none.csv"), target="class")
    with pytest.raises(DataError, match=r"none.csv: this file must exist, but does not: correct"):
        read_raw(missing, cache=tmp_path)
    folder = dataclasses.replace(missing, path=str(tmp_path))
    with pytest.raises(DataError, match="'csv' needs a file, but this is a folder: name a file"):
        read_raw(folder, cache=tmp_path)

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from contracts.tasks import SEED, TaskContract
from greenfront.errors import DataError
from greenfront.objectives.tasks.load import load_task, read_raw
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.tables.values import Numbers


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
        def other(column):
            if isinstance(column, Numbers):
                values = column.values.copy()
                values[rows] = 100 - 3 * values[rows]
                return dataclasses.replace(column, values=values)
            codes = column.codes.copy()
            codes[rows] = len(column.levels)
            return dataclasses.replace(column, levels=(*column.levels, "xx"), codes=codes)

        return dataclasses.replace(inputs, columns=tuple(map(other, inputs.columns)))

    def standardised(self, inputs):
        return inputs[:, :3]

    def test_columns(self, task, raw, settings):
        assert task.facts.name == "wine"
        assert task.facts.input_shape == (6,)
        assert task.facts.class_names == ("red", "rosé", "white")
        assert [column.name for column in raw.inputs.numbers] == ["alcohol", "bottles", "organic"]
        assert [column.levels for column in raw.inputs.levels] == [("fr", "it", "pt")]
        np.testing.assert_array_equal(task.train.inputs[:, 3:].sum(axis=1), 1)

    def test_the_schema_says_what_each_column_is(self, task):
        schema = task.facts.schema
        assert schema.rows == 90
        assert {column.name: column.kind for column in schema.columns} == {
            **{"id": "dropped", "alcohol": "number", "bottles": "number", "organic": "boolean"},
            **{"constant": "constant", "country": "category", "class": "target"},
        }
        assert [column.name for column in schema.columns if column.warning] == ["constant"]


class TestCsvWithMissingCells(TestCsv):
    """Medians and most frequent names, too, are learnt from the training rows alone."""

    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        frame = wine()
        for name, every in (("alcohol", 7), ("organic", 11), ("country", 5)):
            frame[name] = frame[name].astype(object)
            frame.loc[::every, name] = None
        folder = tmp_path_factory.mktemp("csv")
        return written(folder, frame, drop_columns=("id",))

    def test_columns(self, task, raw, settings):
        assert task.facts.input_shape == (9,)
        told = task.train.inputs[:, 6:]
        assert set(np.unique(told)) == {0, 1}
        np.testing.assert_array_equal(task.train.inputs[:, 3:6].sum(axis=1), 1)
        assert [column.missing for column in task.facts.schema.columns] == [0, 13, 0, 9, 0, 18, 0]


@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
def test_separators(tmp_path, separator):
    rows = [["\ufeffalcohol", "class"], *([str(index % 7), "ab"[index % 2]] for index in range(18))]
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
            r"but 30 of 90 rows \(the first is row 2, counted without a header\) have none",
        ),
        ({"class": "red"}, {}, r"wine.csv: .* at least 2 classes, but hold 1 \('red'\)"),
        ({"class": ["red"] * 88 + ["white"] * 2}, {}, "wine.csv: .* only 2 in class 'white'"),
        (
            {"class": [*"ab" * 45]},
            {"validation_fraction": 0.01},
            "too few validation rows per class: .* 45 rows and 1 of them",
        ),
        ({}, {"keep_columns": ("ID",)}, "wine.csv: keep_columns .* no column 'ID'"),
        ({}, {"columns": {"price": "number"}}, "wine.csv: columns .* no column 'price'"),
        ({}, {"columns": {"class": "category"}}, "wine.csv: columns .* 'class' is the target"),
        (
            {},
            {"columns": {"country": "number"}},
            "'country' is a number, but no .* a number .*'fr'",
        ),
        ({}, {"columns": {"country": "date"}}, "'country' is a date, but no cell .* usual form"),
        ({}, {"split_column": "country"}, "line 2: split_column 'country' must say 'train'"),
        ({}, {"encoding": "utf-88"}, "encoding must be one that Python knows, but is 'utf-88'"),
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
        ([*map(str, range(199)), "D"], r"199 of the 200 .* and 1 are not \('D' in row 200; the"),
        (
            ["x", "n/a?", " few ", "12 kg", *np.linspace(0, 1, 56).tolist()],
            r"56 of the 60 .* 4 are not \('x' in row 1, 'n/a\?' in row 2, 'few' in row 3, …; the",
        ),
        (["none given"] + ["7"] * 19, r"19 of the 20 .* \('none given' in row 1; the"),
    ],
)
def test_numbers_with_a_few_texts_among_them_are_refused(tmp_path, cells, told):
    frame = pd.DataFrame({"mass": cells, "class": ["red", "white"] * (len(cells) // 2)})
    with pytest.raises(DataError, match=rf"wine.csv: .*{told} .*: correct .* columns = ") as no:
        read_raw(written(tmp_path, frame), cache=tmp_path)
    assert "cells of 'mass' are numbers" in str(no.value)
    size = [1, 2] * (len(cells) // 2)
    read_raw(written(tmp_path, frame.assign(size=size), drop_columns=("mass",)), cache=tmp_path)
    told = read_raw(written(tmp_path, frame, columns={"mass": "number"}), cache=tmp_path)
    assert np.isnan(told.inputs.columns[0].values).sum() == told.schema.columns[0].missing > 0
    names = read_raw(written(tmp_path, frame, columns={"mass": "category"}), cache=tmp_path)
    assert len(names.inputs.columns[0].levels) == len({str(cell).strip() for cell in cells})


@pytest.mark.parametrize(
    "cells", [["7"] * 5 + ["few"], ["7"] * 17 + ["few", "many"], ["D1", "D2"] * 9]
)
def test_texts_may_have_numbers_among_them(tmp_path, cells):
    classes = [*"ab" * len(cells)][: len(cells)]
    frame = pd.DataFrame({"mass": cells, "class": classes})
    settings = written(tmp_path, frame, validation_fraction=0.5)
    assert [each.name for each in read_raw(settings, cache=tmp_path).inputs.levels] == ["mass"]


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
        ("a,class\n1,x\n2,y\n1,2,3\n", r"wine.csv, line 4: every row .* 2, but this .* 3: put"),
        ("a,class\n1,x\n2\n3,y\n", r"wine.csv, line 3: every row .* 2, but this .* has 1: write"),
        ("a,class\n1,2,x\n1,2,y\n", "wine.csv: every row .* 2, but rows have 3: name every column"),
        ('a,class\n1,x\n"2,y\n3,z\n', "wine.csv, line 3: a quote that begins a cell must end"),
        ("a,a,class\n1,2,x\n", "wine.csv: every column needs a name .* 'a' more than once: rename"),
        ("1.5,2,x\n2,3,y\n", "wine.csv: target must name .* 'class'.*: '0', '1', '2'.*no header"),
        ("a,class\n", r"wine.csv: there are no rows below the header"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_task(written_text(tmp_path, text), cache=tmp_path, seed=0)


def test_missing_files_and_folders_are_refused(tmp_path):
    missing = TaskSettings(kind="csv", path=str(tmp_path / "none.csv"), target="class")
    with pytest.raises(DataError, match=r"none.csv: this file must exist, but does not: correct"):
        read_raw(missing, cache=tmp_path)
    folder = dataclasses.replace(missing, path=str(tmp_path))
    with pytest.raises(DataError, match="'csv' needs a file, but this is a folder: name a file"):
        read_raw(folder, cache=tmp_path)

"""Tables as people have them, and what is right for each kind."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greenfront.errors import DataError
from greenfront.objectives.tasks.load import read_raw
from greenfront.objectives.tasks.raw import Raw
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.split import assemble

ROWS = 60
RNG = np.random.default_rng(0)
X = [f"{value:.3f}" for value in RNG.normal(size=ROWS)]
Y = [f"{value:.3f}" for value in RNG.normal(size=ROWS)]
KIND = ["no", "yes", "no"] * (ROWS // 3)


def csv(columns: dict[str, list[str]], delimiter: str = ",") -> str:
    rows = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    return "\n".join(delimiter.join(row) for row in rows) + "\n"


def plain(delimiter: str = ",", **more: list[str]) -> str:
    return csv({**more, "x": X, "y": Y, "kind": KIND}, delimiter)


def settings(folder: Path, content: str | bytes, name: str = "data.csv", **keys) -> TaskSettings:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return TaskSettings(**{"kind": "csv", "path": str(path), "target": "kind", **keys})


def read(folder: Path, content: str | bytes, name: str = "data.csv", **keys) -> Raw:
    return read_raw(settings(folder, content, name, **keys), cache=folder)


def kinds(raw: Raw) -> dict[str, str]:
    assert raw.schema is not None
    return {column.name: column.kind for column in raw.schema.columns}


def warning(raw: Raw, name: str) -> str:
    assert raw.schema is not None
    return next(each.warning or "" for each in raw.schema.columns if each.name == name)


def numbers(raw: Raw) -> np.ndarray:
    return np.concatenate([column.values for column in raw.inputs.numbers], axis=1)


EXPECTED = np.array([X, Y], dtype=float).T


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (plain().encode("utf-8-sig"), "data.csv"),
        (plain(";"), "data.csv"),
        (plain("\t"), "data.tsv"),
        (plain("|"), "data.csv"),
        (plain(" "), "data.data"),
        ("\n\n" + plain(), "data.csv"),
        ("sep=;\r\n" + plain(";").replace("\n", "\r\n"), "data.csv"),
        ("\ufeffsep=;\n" + plain(";"), "data.csv"),
        ("# exported by station 4\n# unit: mm, or so\n" + plain(), "data.csv"),
        ("# x,y,kind\n" + plain().partition("\n")[2], "data.csv"),
        ("Measurements of 2026\n\n" + plain(), "data.csv"),
        (gzip.compress(plain().encode()), "data.csv.gz"),
        (plain("\t").encode("utf-16"), "unicode.txt"),
        (plain("\t").encode("utf-32"), "unicode.txt"),
        (plain().replace("\n", "\r"), "mac.csv"),
        (plain().replace("\n", ",\n"), "every line ends in a comma.csv"),
        (plain().replace("\n", ",\n").replace(",\n", "\n", 1), "rows end in a comma.csv"),
        (plain() + ",,\n,,\n", "empty rows.csv"),
        (plain() + "x,y,kind\n", "the header twice.csv"),
        (plain().replace("yes\n", "yes  \n"), "padded.csv"),
    ],
)
def test_the_same_table_in_another_dress(tmp_path, content, name):
    raw = read(tmp_path, content, name)
    np.testing.assert_array_equal(numbers(raw), EXPECTED)
    assert raw.labels.tolist() == KIND
    assert kinds(raw) == {"x": "number", "y": "number", "kind": "target"}
    assert raw.schema is not None
    assert raw.schema.rows == ROWS


def test_parquet_is_the_same_table(tmp_path):
    frame = pd.DataFrame({"x": EXPECTED[:, 0], "y": EXPECTED[:, 1], "kind": KIND})
    frame.loc[3, "y"] = np.nan
    frame["day"] = pd.date_range("2026-01-01", periods=ROWS, freq="7h")
    frame.to_parquet(tmp_path / "data.parquet")
    task = TaskSettings(kind="csv", path=str(tmp_path / "data.parquet"), target="kind")
    raw = read_raw(task, cache=tmp_path)
    np.testing.assert_array_equal(numbers(raw)[:, 0], EXPECTED[:, 0])
    assert np.isnan(numbers(raw)[3, 1])
    assert kinds(raw)["day"] == "date"
    (tmp_path / "data.parquet").write_bytes(b"PAR1xxxx")
    with pytest.raises(DataError, match=r"data.parquet: this Parquet file cannot be read"):
        read_raw(task, cache=tmp_path)


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("latin-1", ["Süßwein", "Rosé"]),
        ("cp1252", ["l’été – “bon” 5 €", "Größe"]),
        ("cp1251", ["Привет, мир, как дела сегодня", "Хорошая погода в Москве"]),
        ("cp1253", ["Καλημέρα σε όλο τον κόσμο", "Ο καιρός στην Αθήνα"]),
        ("shift_jis", ["東京の天気はとても良いです", "今日は雨が降っています"]),
    ],
)
def test_other_encodings_are_read_and_said(tmp_path, encoding, words):
    labels = [f'"{words[i % 2]}"' for i in range(ROWS)]
    content = csv({"x": X, "kind": labels}).encode(encoding)
    raw = read(tmp_path, content)
    assert raw.labels.tolist()[:2] == words
    assert any("is not UTF-8: it is read as" in note for note in raw.notes)
    told = read(tmp_path, content, encoding=encoding)
    assert told.labels.tolist()[:2] == words
    assert not told.notes


def test_decimal_commas_are_numbers_and_it_is_said(tmp_path):
    comma = {name: [c.replace(".", ",") for c in cells] for name, cells in (("x", X), ("y", Y))}
    raw = read(tmp_path, csv({**comma, "kind": KIND}, ";"))
    np.testing.assert_array_equal(numbers(raw), EXPECTED)
    assert raw.schema is not None
    assert all("decimal comma" in column.treatment for column in raw.schema.columns[:2])
    many = [f"{17 + index / 10_000:.4f}".replace(".", ",") for index in range(1500)]
    raw = read(tmp_path, csv({"temp": many, "kind": ["mild", "hot"] * 750}, ";"))
    assert numbers(raw)[1, 0] == 17.0001


def test_marks_of_missing_values_among_numbers(tmp_path):
    holes = ["?" if index % 5 == 0 else cell for index, cell in enumerate(X)]
    raw = read(tmp_path, csv({"x": holes, "y": Y, "kind": KIND}))
    empty = read(tmp_path, csv({"x": [c.strip("?") for c in holes], "y": Y, "kind": KIND}))
    assert raw.schema is not None
    assert raw.schema == empty.schema
    assert raw.schema.columns[0].missing == ROWS // 5
    assert "missing: the median" in raw.schema.columns[0].treatment
    task = assemble(raw, settings(tmp_path, ""), seed=0)
    assert task.facts.input_shape == (3,)


def test_true_and_false_with_missing_cells(tmp_path):
    flags = ["" if i % 9 == 0 else ("True" if i % 2 else "FALSE") for i in range(ROWS)]
    raw = read(tmp_path, plain(flag=flags))
    assert kinds(raw)["flag"] == "boolean"
    assert np.nanmax(numbers(raw)[:, 0]) == 1


@pytest.mark.parametrize(
    ("name", "cells", "why"),
    [
        ("customer", [f"C{i:05}" for i in range(ROWS)], "60 distinct texts in 60 rows"),
        ("id", [str(i) for i in range(ROWS)], "it numbers the rows, from 0 to 59"),
        ("nr", [str(i) for i in RNG.permutation(ROWS) + 7], "numbers the rows, from 7 to 66"),
        ("user_id", [str(i * i) for i in range(ROWS)], "called like an identifier"),
        ("Unnamed: 0", [str(i) for i in range(0, 2 * ROWS, 2)], "a saved index"),
        ("big", [str(10**20 + 7 * i) for i in range(ROWS)], "60 distinct texts in 60 rows"),
        ("const", ["1"] * ROWS, "it is '1' in every row"),
        ("note", [f"she said {i} or so words" for i in range(ROWS)], 'kind = "text"'),
    ],
)
def test_what_is_no_feature_is_left_out_and_named(tmp_path, name, cells, why):
    raw = read(tmp_path, plain(**{name: cells}))
    np.testing.assert_array_equal(numbers(raw), EXPECTED)
    assert why in warning(raw, name)
    assert "keep_columns overrules" in warning(raw, name)
    kept = read(tmp_path, plain(**{name: cells}), keep_columns=(name,))
    assert len(kept.inputs.columns) == 3
    dropped = read(tmp_path, plain(**{name: cells}), drop_columns=(name,))
    assert kinds(dropped)[name] == "dropped"
    assert dropped.schema is not None
    assert not dropped.schema.warnings


@pytest.mark.parametrize("header", [",x,y,kind", "x,y,kind"], ids=["saved by pandas", "by R"])
def test_a_column_without_a_name_that_numbers_rows(tmp_path, header):
    lines = [f"{i},{line}" for i, line in enumerate(plain().splitlines()[1:], start=1)]
    raw = read(tmp_path, "\n".join([header, *lines]))
    np.testing.assert_array_equal(numbers(raw), EXPECTED)
    assert "a saved index" in warning(raw, "Unnamed: 0")


def test_without_a_header_columns_are_numbered(tmp_path):
    raw = read(tmp_path, plain().partition("\n")[2], target="2")
    np.testing.assert_array_equal(numbers(raw), EXPECTED)
    assert "the file has no header: columns are called 0, 1, …" in raw.notes
    named = read(tmp_path, plain().replace("x,y,kind", "0,1,2"), target="2")
    np.testing.assert_array_equal(numbers(named), EXPECTED)
    assert not named.notes


def test_names_with_separators_and_line_breaks(tmp_path):
    header = '"Length, mm";"Width\n(mm), or so";"kind"\n'
    raw = read(tmp_path, header + plain(";").partition("\n")[2])
    assert list(kinds(raw)) == ["Length, mm", "Width\n(mm), or so", "kind"]
    cells = [f'"first line\nsecond, line {i % 3}"' for i in range(ROWS)]
    raw = read(tmp_path, plain(note=cells))
    assert len(raw.inputs.levels[0].levels) == 3


def test_a_quote_that_swallows_rows_is_named(tmp_path):
    lines = plain(note=["so"] * ROWS).splitlines()
    lines[9], lines[13] = '"' + lines[9], lines[13].replace("so,", 'so",')
    with pytest.raises(DataError, match=r"line 10: the quote that opens here .* in line 14"):
        read(tmp_path, "\n".join(lines))


@pytest.mark.parametrize("words", [("None", "Mild"), ("NA", "nan"), ("null", "?")])
def test_every_word_may_name_a_class(tmp_path, words):
    labels = [words[i % 2] for i in range(ROWS)]
    raw = read(tmp_path, csv({"x": X, "kind": labels}))
    assert raw.labels.tolist() == labels


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["01", "1"], ["01", "1"]),
        (["10", "9"], [9, 10]),
        (["-1", "7"], [-1, 7]),
        (["0.0", "1.0"], [0, 1]),
        (["1e3", "1000"], ["1000", "1e3"]),
        (["0.5", "2.0"], ["0.5", "2.0"]),
    ],
)
def test_labels_are_as_they_are_written(tmp_path, labels, classes):
    raw = read(tmp_path, csv({"x": X, "kind": labels * (ROWS // 2)}))
    assert np.unique(raw.labels).tolist() == classes


def test_cells_that_list_classes_are_warned_about(tmp_path):
    labels = ["a", "a;b", "b; c", "a;b;c"] * (ROWS // 4)
    raw = read(tmp_path, csv({"x": X, "kind": labels}))
    assert "seem to list several classes" in warning(raw, "kind")
    plain_names = ["Paris, Texas", "Paris, France"] * (ROWS // 2)
    quoted = [f'"{name}"' for name in plain_names]
    assert not warning(read(tmp_path, csv({"x": X, "kind": quoted})), "kind")


def test_a_target_that_few_rows_decide_is_warned_about(tmp_path):
    values = np.linspace(0.5, 99.5, 200)

    def told():
        columns = {"x": [f"{i % 7}" for i in range(200)], "kind": [f"{value}" for value in values]}
        return warning(read(tmp_path, csv(columns)), "kind")

    assert not told()
    values[:2] = 1000.5
    squares = np.square(values - values.mean())
    share = squares[:2].sum() / squares.sum()
    assert f"the 2 rows farthest from its mean make {share:.0%} of its variance" in told()


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ([f"{i % 27 / 2}" for i in range(ROWS)], "number"),
        (["3.0", "4.0", "5.0"] * 20, "number"),
        ([str(i % 30) for i in range(ROWS)], "number"),
        ([f"{i % 27 / 2}".replace(".", ",") for i in range(ROWS)], "number"),
        ([str(i % 8) for i in range(ROWS)], "class"),
        (["0.0", "1.0"] * 30, "class"),
        (["0.5", "1.0"] * 30, "class"),
    ],
)
def test_a_quantity_is_told_from_classes(tmp_path, labels, kind):
    table = csv({"x": X * 4, "kind": labels * 4}, ";")
    raw = read(tmp_path, table)
    assert raw.target_kind == kind
    assert raw.schema is not None
    told = raw.schema.columns[-1].treatment
    assert ("regression" in told) == (kind == "number" or len(set(labels)) > 2)
    other = {"number": "class", "class": "number"}[kind]
    task = assemble(raw, settings(tmp_path, ""), seed=0)
    assert task.facts.regression == (kind == "number")
    overruled = read(tmp_path, table, target_kind=other)
    assert overruled.target_kind == other


def test_a_quantity_needs_a_number_in_every_row(tmp_path):
    labels = ["NA", *(f"{i}.5" for i in range(ROWS - 1))]
    with pytest.raises(DataError, match=r"1 of 60 rows \(the first is row 1, .*\) have none"):
        read(tmp_path, csv({"x": X, "kind": labels}))
    with pytest.raises(DataError, match="needs a number in every row of 'kind', but there is 'no'"):
        read(tmp_path, plain(), target_kind="number")


def test_free_text_alone_points_to_the_kind_for_it(tmp_path):
    cells = [f"some words here {i} and more" for i in range(ROWS)]
    with pytest.raises(DataError, match="kind = \"text\" with text_column = 'review'"):
        read(tmp_path, csv({"review": cells, "kind": KIND}))


@pytest.mark.parametrize(
    ("form", "inputs"),
    [
        ("%Y-%m-%d", 3),
        ("%Y-%m-%d %H:%M:%S", 4),
        ("%Y-%m-%dT%H:%M:%SZ", 4),
        ("%d.%m.%Y", 3),
        ("%m/%d/%Y %H:%M", 4),
        ("%d-%b-%Y", 3),
        ("%H:%M", 1),
    ],
)
def test_dates_become_parts(tmp_path, form, inputs):
    days = pd.date_range("2026-01-01", periods=ROWS, freq="31h")
    raw = read(tmp_path, plain(day=[f"{day:{form}}" for day in days]))
    assert kinds(raw)["day"] == "date"
    task = assemble(raw, settings(tmp_path, ""), seed=0)
    assert task.facts.input_shape == (2 + inputs,)
    column = raw.inputs.numbers[0]
    for part, values in zip(column.reading.parts, column.values.T, strict=True):
        told = [getattr(day, part) for day in days]
        told = [day.weekday() for day in days] if part == "weekday" else told
        np.testing.assert_allclose(values, told)


def test_a_feature_that_gives_the_answer_away_is_warned_about(tmp_path):
    copied = ["1" if kind == "yes" else "0" for kind in KIND]
    slope = [f"{i + (500 if kind == 'yes' else 0)}.5" for i, kind in enumerate(KIND)]
    raw = read(tmp_path, plain(copied=copied, slope=slope))
    assert raw.schema is not None
    told = [each.name for each in raw.schema.columns if "alone predicts" in (each.warning or "")]
    assert told == ["copied", "slope"]
    assert raw.schema.leaks == ("copied", "slope")


def test_of_one_class_no_feature_gives_anything_away(tmp_path):
    lines = plain(x=[str(i % 7) for i in range(ROWS)]).splitlines()
    raw = read(tmp_path, "\n".join([lines[0], *(line.replace("no", "yes") for line in lines[1:])]))
    assert raw.schema is not None
    assert raw.schema.leaks == ()


def test_few_classes_are_named_with_their_shares(tmp_path):
    told = [each.treatment for each in read(tmp_path, plain()).schema.columns]
    assert told[-1] == "2 classes: no 67%, yes 33%"


def test_what_stands_for_nothing_among_numbers_is_a_category_among_names(tmp_path):
    raw = read(tmp_path, plain(town=["?", "Rome", "Oslo"] * 20))
    (town,) = (each for each in raw.schema.columns if each.name == "town")
    assert town.treatment == "one-hot, 3 inputs; categories like others, not missing: '?'"
    assert town.missing == 0


def test_an_own_test_file(tmp_path):
    rows = plain(id=[str(i) for i in range(ROWS)]).splitlines()
    # The identifier, which is not learnt from, may be absent, and columns may be in another order.
    cells = [row.split(",")[:0:-1] for row in [rows[0], *rows[41:]]]
    (tmp_path / "test.csv").write_text("\n".join(map(";".join, cells)))
    keys = {"test_path": str(tmp_path / "test.csv")}
    raw = read(tmp_path, "\n".join(rows[:41]), **keys)
    assert raw.own.is_test is not None
    np.testing.assert_array_equal(raw.own.is_test, np.arange(ROWS) >= 40)
    np.testing.assert_array_equal(numbers(raw), EXPECTED)
    assert kinds(raw)["id"] == "identifier"
    task = assemble(raw, settings(tmp_path, "", **keys), seed=0)
    assert task.facts.sizes == {"train": 32, "validation": 8, "test": 20}
    (tmp_path / "test.csv").write_text("x,kind\n1,no\n")
    with pytest.raises(DataError, match=r"test.csv: the test split needs .* lacks 'y': its col"):
        read(tmp_path, "\n".join(rows[:41]), **keys)


def test_an_own_split_column(tmp_path):
    words = ["train"] * 40 + ["dev"] * 8 + ["Test"] * 12
    raw = read(tmp_path, plain(part=words), split_column="part")
    task = assemble(raw, settings(tmp_path, "", split_column="part"), seed=0)
    assert task.facts.sizes == {"train": 40, "validation": 8, "test": 12}
    assert kinds(raw)["part"] == "split"
    assert task.facts.input_shape == (2,)

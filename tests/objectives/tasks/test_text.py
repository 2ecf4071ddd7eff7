from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from contracts.tasks import SEED, TaskContract
from greenfront.errors import DataError
from greenfront.objectives.tasks.load import load_task, read_raw
from greenfront.objectives.tasks.settings import TaskSettings

ROWS = [
    {"id": index, "text": f'Note {index}, said "{word}"\nto all: ü', "mood": mood}
    for index, (word, mood) in enumerate([("fine", "glad"), ("hm", "none"), ("oh", "sad")] * 30)
]


def settings_of(path, **keys) -> TaskSettings:
    return TaskSettings(**{"kind": "text", "path": str(path), "target": "mood", **keys})


def written_table(tmp_path, rows=ROWS, separator=",", **keys) -> TaskSettings:
    path = tmp_path / "notes.csv"
    pd.DataFrame(rows).to_csv(path, index=False, sep=separator)
    return settings_of(path, **keys)


def written_lines(tmp_path, rows=ROWS, **keys) -> TaskSettings:
    path = tmp_path / "notes.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    return settings_of(path, **keys)


def written(tmp_path, content, **keys) -> TaskSettings:
    path = tmp_path / "notes.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return settings_of(path, **keys)


class TextContract(TaskContract):
    def changed(self, inputs, rows):
        values = inputs.values.copy()
        values[rows] = [f"{text} changed" for text in values[rows]]
        return dataclasses.replace(inputs, values=values)

    def test_types_and_shapes(self, task):
        assert task.facts.is_text
        assert not task.facts.is_image
        assert task.facts.input_shape == ()
        for part in (task.train, task.validation, task.test):
            assert part.inputs.shape == part.labels.shape
            assert {type(text) for text in part.inputs} == {str}
            assert part.labels.dtype == np.int64

    def test_training_inputs_are_standardised(self, task, raw):
        """Texts have nothing to standardise: they reach the task as they are in the file."""
        dealt = [*task.train.inputs, *task.validation.inputs, *task.test.inputs]
        assert sorted(dealt) == sorted(raw.inputs.values) == sorted(row["text"] for row in ROWS)

    def test_facts(self, task):
        assert task.facts.name == "notes"
        assert task.facts.class_names == ("glad", "none", "sad")


class TestTable(TextContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        return written_table(tmp_path_factory.mktemp("text"))


class TestJsonLines(TextContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        return written_lines(tmp_path_factory.mktemp("text"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_both_formats_are_the_same_data(tmp_path, separator):
    table = load_task(written_table(tmp_path, separator=separator), cache=tmp_path, seed=0)
    lines = load_task(written_lines(tmp_path), cache=tmp_path, seed=0)
    assert table.facts == lines.facts
    np.testing.assert_array_equal(table.test.inputs, lines.test.inputs)


def test_the_fingerprint_tells_texts_apart(tmp_path):
    first = load_task(written_lines(tmp_path), cache=tmp_path, seed=0)
    moved = ROWS[0]["text"][:-1]
    # The same letters, parted in another place.
    rows = [{**ROWS[0], "text": moved}, {**ROWS[1], "text": "ü" + ROWS[1]["text"]}, *ROWS[2:]]
    other = load_task(written_lines(tmp_path, rows), cache=tmp_path, seed=0)
    assert first.facts.fingerprint != other.facts.fingerprint


def test_another_column_may_hold_the_texts(tmp_path):
    rows = [{"body": row["text"], "text": "", "mood": row["mood"]} for row in ROWS]
    for write in (written_table, written_lines):
        task = load_task(write(tmp_path, rows, text_column="body"), cache=tmp_path, seed=0)
        assert set(task.test.inputs) < {row["text"] for row in ROWS}


def test_words_that_stand_for_missing_values_elsewhere_are_words_here(tmp_path):
    lines = "\n".join(f"{text},{mood}" for text, mood in [("NA", "null"), ("nan", "NA")] * 6)
    task = load_task(written(tmp_path, f"text,mood\n{lines}\n"), cache=tmp_path, seed=0)
    assert task.facts.class_names == ("NA", "null")
    assert set(task.train.inputs) == {"NA", "nan"}


def test_numbered_classes_are_in_the_order_of_numbers(tmp_path):
    rows = [{"text": f"note {index}", "mood": (2, 10, 9)[index % 3]} for index in range(12)]
    for write in (written_table, written_lines):
        task = load_task(write(tmp_path, rows), cache=tmp_path, seed=0)
        assert task.facts.class_names == ("2", "9", "10")


def test_separators_inside_json_strings_do_not_end_lines(tmp_path):
    rows = [{"text": f"a\u2028b\x85{index}", "mood": "xy"[index % 2]} for index in range(8)]
    path = tmp_path / "notes.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    assert list(read_raw(settings_of(path), cache=tmp_path).inputs.values)[3] == "a\u2028b\x853"


@pytest.mark.parametrize("write", [written_table, written_lines])
@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        ({}, {"target": "moood"}, r"target .* no column 'moood'. Did you mean 'mood'\? Choose one"),
        ({}, {"text_column": "txt"}, r"text_column .* no column 'txt'. Did you mean 'text'\?"),
        ({}, {"text_column": "mood"}, "text_column and target must be two columns, .* 'mood'"),
        ({"text": None}, {}, r"every row needs a text, but 1 of 90 \(.* (row|line) 6\) .* 'text'"),
        ({"text": " \n"}, {}, "every row needs a text, but 1 of 90"),
        ({"mood": None}, {}, r"every row needs a target, but 1 of 90 \(.* 6\) have none in 'mood'"),
        ({"mood": ""}, {}, "every row needs a target, but 1 of 90"),
        ({"mood": "rare"}, {}, "a class needs at least 3 examples, .* only 1 in class 'rare'"),
    ],
)
def test_bad_rows_are_refused(tmp_path, write, change, keys, message):
    rows = [*ROWS[:5], {**ROWS[5], **change}, *ROWS[6:]]
    with pytest.raises(DataError, match=rf"notes\.(csv|jsonl): {message}"):
        load_task(write(tmp_path, rows, **keys), cache=tmp_path, seed=0)


@pytest.mark.parametrize("write", [written_table, written_lines])
def test_one_class_is_refused(tmp_path, write):
    rows = [{**row, "mood": "glad"} for row in ROWS]
    with pytest.raises(DataError, match=r"at least 2 classes, but hold 1 \('glad'\)"):
        load_task(write(tmp_path, rows), cache=tmp_path, seed=0)


def test_texts_have_to_be_named_where_no_column_is_called_text(tmp_path):
    rows = [{"body": row["text"], "mood": row["mood"]} for row in ROWS]
    with pytest.raises(DataError, match=r"text_column .* no column 'text'. Choose one of: 'body'"):
        read_raw(written_table(tmp_path, rows), cache=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "this must be a CSV file with a header, or JSON Lines, but cannot be read"),
        ("text,mood\n", r"at least 2 classes, but hold 0 \(there are no examples\)"),
        ("text,mood\na,x\na, b,x\n", r"cannot be read \(.*line 3.*\): put texts with separators"),
        ("text,mood\na, b,x\na, b,x\n", "every row .* more than its 2: put texts with separators"),
        ("text,mood\na\nb,x\n", r"every row needs a target, but 1 of 2 \(the first is row 1\)"),
        ("text,mood\nä,x\n".encode("latin-1"), "CSV or JSON Lines file in UTF-8, .* byte 0xe4"),
        ('{"text": "a", "mood": 1}\n\n{"text"', "notes.txt, line 3: every line .* cannot be read"),
        ('{"text": "a", "mood": 1}\n"b"', 'notes.txt, line 2: .* but this one is "b": write {"te'),
        ('[{"text": "a", "mood": 1}]', "line 1: every line must be one JSON object, but .* is"),
        ('{"text": 3, "mood": "x"}', "line 1: 'text' must be a text, but is 3: write it in quotes"),
        ('{"text": "a", "mood": ["x"]}', r"line 1: 'mood' must be a name or a number, .* is \["),
        ('{"text": "a", "mood": NaN}', r"every row needs a target, but 1 of 1 \(.* line 1\)"),
        ('{"text":"a","mood":1}\n{"text":"b","mood":"1"}', "line 2: 'mood' must be a number, as"),
        ('{"text": "\\ud83d", "mood": 1}', r"line 1: 'text' must be Unicode, .*ud83d.*original"),
    ],
)
def test_bad_files_are_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        load_task(written(tmp_path, content), cache=tmp_path, seed=0)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"none.csv: this file must exist, but does not: correct"):
        read_raw(settings_of(tmp_path / "none.csv"), cache=tmp_path)
    with pytest.raises(DataError, match="'text' needs a file, but this is a folder: name a file"):
        read_raw(settings_of(tmp_path), cache=tmp_path)


def test_nothing_is_written(tmp_path):
    load_task(written_lines(tmp_path), cache=tmp_path / "cache", seed=SEED)
    assert [item.name for item in tmp_path.iterdir()] == ["notes.jsonl"]


@pytest.mark.parametrize("write", [written_table, written_lines])
def test_a_file_with_a_test_split(tmp_path, write):
    (tmp_path / "more").mkdir()
    apart = write(tmp_path / "more", ROWS[60:]).path
    task = load_task(write(tmp_path, ROWS[:60], test_path=apart), cache=tmp_path, seed=0)
    assert task.facts.sizes == {"train": 48, "validation": 12, "test": 30}
    assert sorted(task.test.inputs) == sorted(row["text"] for row in ROWS[60:])


@pytest.mark.parametrize("write", [written_table, written_lines])
def test_a_column_with_splits(tmp_path, write):
    part = ("train", "train", "dev", "test")
    rows = [{**row, "part": part[index // 3 % 4]} for index, row in enumerate(ROWS)]
    task = load_task(write(tmp_path, rows, split_column="part"), cache=tmp_path, seed=0)
    for name, split in (("dev", task.validation), ("test", task.test)):
        assert sorted(split.inputs) == sorted(r["text"] for r in rows if r["part"] == name)
    with pytest.raises(DataError, match=r"split_column must name a column, .* Did you mean .part"):
        load_task(write(tmp_path, rows, split_column="Part"), cache=tmp_path, seed=0)
    with pytest.raises(DataError, match="one of 'test_path' and 'split_column', but both are set"):
        write(tmp_path, rows, split_column="part", test_path="/x")

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pandas as pd
import pytest

from contracts.tasks import SEED
from contracts.text_tasks import TextTaskContract
from greenfront.errors import DataError
from greenfront.objectives.tasks.load import load_task, read_raw
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.text import Texts

NAMES = {";": "';'", "\t": "tabs"}

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


class TextContract(TextTaskContract):
    texts = tuple(row["text"] for row in ROWS)


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
    told = () if separator == "," else (f"cells are separated by {NAMES[separator]}",)
    assert table.facts == dataclasses.replace(lines.facts, notes=told)
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
        ({"text": None}, {}, r"every row needs a text, but 1 of 90 \(.* line (6|12)\) .* 'text'"),
        ({"text": " \n"}, {}, "every row needs a text, but 1 of 90"),
        (
            {"mood": None},
            {},
            r"every row needs a target, but 1 of 90 \(.* line (6|12)\) have none in 'mood'",
        ),
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
        ("", r"this must be a CSV file with a header, but cannot be read \(it is empty\)"),
        ("text,mood\n", r"at least 2 classes, but hold 0 \(there are no examples\)"),
        ("text,mood\na,x\na, b,x\nb,x\n", "line 3: every row must have .* 2, but this one has 3"),
        ("text,mood\na, b,x\na, b,x\n", r"'text' .*|as many cells as the header has names, 2"),
        ("text,mood\nb,x\na\nb,x\n", "line 3: every row must have as many cells .* this one has 1"),
        ("text,mood\n,x\nb,x\n", r"every row needs a text, but 1 of 2 \(the first is line 2\)"),
        (
            b"text,mood\n\x81\x00\x00\x00,x\n",
            "notes.txt: this must be a table as text .* cannot be",
        ),
        ('text,mood\na,x\n"b,x\n"c",x\n', "line 3: a quote that begins a cell must end it"),
        ('{"text": "a", "mood": 1}\n\n{"text"', "notes.txt, line 3: every line .* cannot be read"),
        ('{"text": "a", "mood": 1}\n"b"', 'notes.txt, line 2: .* but this one is "b": write {"te'),
        ('[{"text": "a", "mood": 1}, 3]', "one JSON array of objects, but entry 2 is 3: write"),
        (
            '[{"text": "a", "mood": 1}',
            "notes.txt: .* one JSON array .* cannot be read .* one object",
        ),
        ("[" * 20_000, "one JSON array of objects, but cannot be read .* recursion"),
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


def task_of(tmp_path, content, **keys):
    return load_task(written(tmp_path, content, **keys), cache=tmp_path, seed=0)


def test_labels_are_names_unless_each_reads_the_same_as_an_integer(tmp_path):
    rows = "".join(f"text {index},{('01', '1', '2')[index % 3]}\n" for index in range(18))
    assert task_of(tmp_path, f"text,mood\n{rows}").facts.class_names == ("01", "1", "2")
    plain = rows.replace(",01", ",10")
    assert task_of(tmp_path, f"text,mood\n{plain}").facts.class_names == ("1", "2", "10")


def test_a_quote_that_is_never_closed_costs_no_rows(tmp_path):
    """As in collections of short messages, where quotes are characters like any other."""
    rows = [f"{'ham' if index % 2 else 'spam'}\tmessage {index}" for index in range(40)]
    for line in (8, 22, 30):
        rows[line - 2] = rows[line - 2].replace("message", '"message')
    task = task_of(tmp_path, "mood\ttext\n" + "\n".join(rows))
    assert sum(task.facts.sizes.values()) == 40
    assert "the quote that opens in line 8 is never closed" in task.facts.notes[1]
    assert '"message 6' in {*task.train.inputs, *task.validation.inputs, *task.test.inputs}


@pytest.mark.parametrize(
    "lines",
    [
        ['ham\t"quoted"', 'ham\t"open', "spam\tplain", 'spam\t"open', "ham\tplain", "spam\tplain"],
        ['ham,"quoted, with comma"', 'ham,"open', "spam,plain", 'spam,"open', "ham,a", "spam,b"],
    ],
)
def test_an_unclosed_quote_among_quoted_cells_is_named_with_its_line(tmp_path, lines):
    header = "mood" + lines[0][3] + "text"
    with pytest.raises(DataError, match=r"notes\.txt, line 3: a quote that begins a cell must end"):
        task_of(tmp_path, "\n".join([header, *lines]))


def test_rows_that_a_quote_swallowed_are_missed(tmp_path):
    rows = ["ham,a", 'spam,"b', "ham,c", "spam,d", 'ham,e"', "spam,f", *["ham,g", "spam,h"] * 4]
    with pytest.raises(
        DataError, match=r"line 3: the quote that opens here .* in line 6, .* a row"
    ):
        task_of(tmp_path, "\n".join(["mood,text", *rows]))


def test_quotes_behind_backslashes(tmp_path):
    rows = [f'{"xy"[index % 2]},"so \\"nice, item\\" {index}"' for index in range(12)]
    task = task_of(tmp_path, "mood,text\n" + "\n".join(rows))
    texts = {*task.train.inputs, *task.validation.inputs, *task.test.inputs}
    assert texts == {f'so "nice, item" {index}' for index in range(12)}


def test_a_json_array_is_the_same_data_as_its_lines(tmp_path):
    lines = load_task(written_lines(tmp_path), cache=tmp_path, seed=0)
    array = task_of(tmp_path, "\ufeff" + json.dumps(ROWS, indent=1))
    assert array.facts == lines.facts


def test_json_lines_with_a_byte_order_mark_and_truths(tmp_path):
    rows = [{"text": f"text {index}", "mood": index % 2 == 0} for index in range(12)]
    task = task_of(tmp_path, "\ufeff" + "\n".join(map(json.dumps, rows)))
    assert task.facts.class_names == ("False", "True")


def test_a_stray_zero_byte_is_left_out_and_said(tmp_path):
    rows = "".join(f"text {index},{'xy'[index % 2]}\n" for index in range(40))
    task = task_of(tmp_path, "text,mood\n" + rows.replace("text 7,", "te\0xt 7,"))
    assert task.facts.notes == ("1 bytes of 0 are left out",)
    assert "text 7" in {*task.train.inputs, *task.validation.inputs, *task.test.inputs}


def test_texts_of_emoji_alone(tmp_path):
    faces = {"x": "😡", "y": "😀"}
    rows = [
        f"{mood},{face * (1 + index % 5)}" for index in range(12) for mood, face in faces.items()
    ]
    task = task_of(tmp_path, "mood,text\n" + "\n".join(rows))
    assert task.facts.class_names == ("x", "y")
    assert sum(task.facts.sizes.values()) == 24


def test_copies_stay_within_one_split_and_are_said(tmp_path):
    rows = [f"{'xy'[index % 2]},text {index % 10}" for index in range(120)]
    task = task_of(tmp_path, "mood,text\n" + "\n".join(rows))
    parts = [set(part.inputs) for part in (task.train, task.validation, task.test)]
    assert sum(map(len, parts)) == 10
    assert task.facts.notes == (
        "110 of the 120 examples are copies of others, which are kept within one split",
    )


def test_other_encodings_are_read_and_said(tmp_path):
    rows = "".join(f"Käse und Brötchen {index},{'xy'[index % 2]}\n" for index in range(20))
    content = f"text,mood\n{rows}".encode("cp1252")
    task = task_of(tmp_path, content)
    assert "Käse und Brötchen 7" in {*task.train.inputs, *task.validation.inputs, *task.test.inputs}
    assert "read as cp1252, a guess that [task] encoding overrules" in task.facts.notes[0]
    assert task_of(tmp_path, content, encoding="cp1252").facts.notes == ()
    assert task_of(tmp_path, f"text,mood\n{rows}".encode("utf-16")).facts.notes == ()


def test_a_test_file_may_be_of_the_other_format(tmp_path):
    apart = written_lines(tmp_path, ROWS[60:]).path
    task = load_task(written_table(tmp_path, ROWS[:60], test_path=apart), cache=tmp_path, seed=0)
    assert sorted(task.test.inputs) == sorted(row["text"] for row in ROWS[60:])


def test_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "notes.csv")
    with pytest.raises(DataError, match="needs a file, but this is a pipe, a socket or a device"):
        read_raw(settings_of(tmp_path / "notes.csv"), cache=tmp_path)


def test_texts_without_marks_keep_the_fingerprint_of_before(tmp_path):
    """Networks are given marks since; studies of texts that have none go on."""
    plain, marked = Texts(np.array(["a ß 好"], object)), Texts(np.array(["è"], object))
    assert [bytes(part) for part in plain.parts()] == ["a ß 好".encode()]
    assert len(list(marked.parts())) == 2

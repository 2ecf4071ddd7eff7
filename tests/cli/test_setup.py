from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from contracts.command import HEAVY, Command
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.presets.compose import TASKS


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["front", "--help"]])
def test_help_imports_nothing_heavy(command: Command, words: list[str]) -> None:
    loaded = command.loaded(*words)
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def test_without_a_command_it_shows_what_there_is(command: Command) -> None:
    said = command.read(code=2)
    for name in ("init", "plan", "run", "resume", "studies", "front", "ledger", "report", "doctor"):
        assert name in said


@pytest.mark.parametrize("task", TASKS)
def test_init_writes_a_study_file(command: Command, task: str) -> None:
    assert command.read_json("init", "--task", task, "-o", "a.toml") == {
        "study_file": "a.toml",
        "task": task,
    }
    data = tomllib.loads((command.folder / "a.toml").read_text())
    assert data["task"]["kind"] == ("my_data:load" if task == "custom" else task)


def test_init_overwrites_only_when_forced(command: Command) -> None:
    (command.folder / "study.toml").write_text("mine")
    assert "--force" in command.read("init", code=2)
    assert (command.folder / "study.toml").read_text() == "mine"
    command.run("init", "--force")
    assert "[task]" in (command.folder / "study.toml").read_text()


def test_init_knows_its_tasks(command: Command) -> None:
    assert "digits, mnist5k" in command.read("init", "--task", "cifar", code=2)
    assert command.contents() == set()


def table(folder: Path, *rows: str) -> None:
    (folder / "data").mkdir()
    (folder / "data" / 'bees "1".csv').write_text("\n".join(rows) + "\n", encoding="utf-8")


BEES = ["# of May", "id,Länge,kind", *(f"{i},{i * i % 17}.5,{'ab'[i % 2]}" for i in range(30))]
NOTES = ["note,kind", *(f"she saw {i} of them,{'ab'[i % 2]}" for i in range(30))]


def test_init_writes_the_study_file_for_a_table(command: Command) -> None:
    table(command.folder, *BEES)
    (command.folder / "studies").mkdir()
    words = ("init", 'data/bees "1".csv', "--target", "kind", "-o", "studies/bees.toml")
    said = command.read(*words)
    assert "30 rows; 1 of 3 columns are features" in said
    assert "it numbers the rows, from 0 to 29; keep_columns overrules" in said
    assert "Lines above the header, passed over: 1." in said
    file = StudyFile.read(command.folder / "studies" / "bees.toml")
    assert (file.study.name, file.task.kind, file.task.target) == ("bees-1", "csv", "kind")
    assert Path(str(file.task.path)) == command.folder / "data" / 'bees "1".csv'
    assert '#   "id"\n' in (command.folder / "studies" / "bees.toml").read_text()
    found = command.read_json(*words, "--force")
    assert len(found["notes"]) == 1
    assert [column["kind"] for column in found["schema"]["columns"]] == [
        *("identifier", "number", "target")
    ]


def test_init_prepares_the_way_out_of_a_leak(command: Command) -> None:
    table(command.folder, "x,told,kind", *(f"{i % 7},{i % 2}0,{'ab'[i % 2]}" for i in range(30)))
    command.read("init", 'data/bees "1".csv', "--target", "kind")
    path = command.folder / "study.toml"
    assert StudyFile.read(path).task.drop_columns == ()
    line = '# drop_columns = ["told"]   # alone predicts the target: known before it?'
    assert line in path.read_text().splitlines()
    path.write_text(path.read_text().replace(line, line[2:]))
    assert StudyFile.read(path).task.drop_columns == ("told",)


def test_init_is_told_what_a_column_is_where_it_asks(command: Command) -> None:
    rows = [f"{i % 9},{'?' if i % 5 else i},{'ab'[i % 2]}" for i in range(300)]
    table(command.folder, "breite,a=größe,kind", *rows, "3,groß,a")
    words = ("init", 'data/bees "1".csv', "--target", "kind")
    asked = command.read(*words, code=2)
    assert "--column a=größe=number" in asked.replace("'", "")
    assert "number, category, date, got 'größe'" in command.read(
        *words, "--column", "größe", code=2
    )
    assert "no column 'x'" in command.read(*words, "--column", "x=date", code=2)
    assert "give the table, too" in command.read("init", "--column", "x=date", code=2)
    assert not (command.folder / "study.toml").exists()
    command.read(*words, "--column", "a=größe=number", "--column", "breite=category")
    path = command.folder / "study.toml"
    assert 'columns = { "a=größe" = "number", "breite" = "category" }' in path.read_text()
    assert StudyFile.read(path).task.columns == {"a=größe": "number", "breite": "category"}


def test_init_does_not_say_that_a_target_with_a_warning_is_left_out(command: Command) -> None:
    far = [1e6, *(float(i % 13) + 0.5 for i in range(99))]
    table(command.folder, "x,lang", *(f"{i % 7},{value}" for i, value in enumerate(far)))
    found = command.read_json("init", 'data/bees "1".csv', "--target", "lang")
    told = "the row farthest from its mean makes 99% of its variance"
    assert found["schema"]["columns"][-1]["warning"].startswith(told)
    assert "left out, as" not in (command.folder / "study.toml").read_text()


def test_init_takes_a_table_of_nothing_but_texts_for_texts(command: Command) -> None:
    table(command.folder, *NOTES)
    said = command.read("init", 'data/bees "1".csv', "--target", "kind")
    assert "30 rows; 'kind' is learnt from the texts in 'note': 2 classes" in said
    assert "left out" not in said
    file = StudyFile.read(command.folder / "study.toml")
    assert (file.task.kind, file.task.text_column) == ("text", "note")


def test_init_writes_the_study_file_for_a_folder_of_images(command: Command) -> None:
    (command.folder / "data" / "bee pics").mkdir(parents=True)
    assert "Wrote study.toml" in command.read("init", "data/bee pics")
    file = StudyFile.read(command.folder / "study.toml")
    assert (file.study.name, file.task.kind, file.task.target) == ("bee-pics", "images", None)
    assert Path(str(file.task.path)) == command.folder / "data" / "bee pics"
    told = command.read_json("init", "data/bee pics", "--target", "weight", "-o", "w.toml")
    assert told == {"study_file": "w.toml", "task": "images"}
    assert StudyFile.read(command.folder / "w.toml").task.target == "weight"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (['data/bees "1".csv'], "--target must name the column to predict, one of 'id', 'Länge'"),
        (['data/bees "1".csv', "--target", "kin"], "no column 'kin'. Did you mean 'kind'?"),
        (['data/bees "1".csv', "--task", "csv"], "give a table, a folder or --task, not two of"),
        (["one.csv", "--target", "y"], "at least 2 classes, but hold 1 ('yes')"),
        (["--target", "kind"], "--target names a column of a table: give the table, too"),
        (["none.csv", "--target", "kind"], "none.csv: this file must exist"),
        (["none.csv"], "none.csv: this file cannot be read"),
    ],
)
def test_init_says_what_it_lacks(command: Command, words: list[str], told: str) -> None:
    table(command.folder, *BEES)
    (command.folder / "one.csv").write_text("x,y\n" + "1,yes\n2,yes\n" * 20)
    before = command.contents()
    assert told in command.read("init", *words, code=2)
    assert command.contents() == before


def test_doctor_names_every_instrument_and_the_way_out(command: Command) -> None:
    found = command.json("doctor")
    components = [status["component"] for status in found["instruments"]]
    assert set(components) == {"cpu", "gpu", "dram"}
    for status in found["instruments"]:
        assert status["kind"] in {"measured", "modelled", "unavailable"}
        if status["kind"] == "unavailable":
            assert status["remedy"]
    assert any(s["chosen"] and s["component"] == "cpu" for s in found["instruments"])
    assert "CPU model" in command.read("doctor")

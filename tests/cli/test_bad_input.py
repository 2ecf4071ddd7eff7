"""Bad input: one clear message, exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.command import FAST, Command


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def write_csv(folder: Path, rows: list[str]) -> None:
    (folder / "data.csv").write_text("\n".join(["a,b,class", *rows]) + "\n")


GOOD_ROWS = [f"{i},{i % 7},{'yes' if i % 2 else 'no'}" for i in range(40)]
CSV = 'kind = "csv"\npath = "data.csv"\ntarget = "class"'


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"space": "prunning = [0, 0.5]"}, ["[space] prunning", "unknown key", "'pruning'"]),
        ({"spaces": ""}, ["spaces", "unknown key", "'space'"]),
        ({"budget": 'trials = "many"'}, ["[budget] trials", "integer", "'many'"]),
        ({"space": "architectures = []"}, ["[space] architectures", "at least 1"]),
        ({"space": "pruning = [0.9, 0.1]"}, ["[space] pruning", "0.9", "0.1"]),
        ({"space": "pruning = [0.0, 1.5]"}, ["[space] pruning", "1.5"]),
        ({"space": 'architectures = ["ccn"]'}, ["'ccn'", "'cnn'"]),
        ({"task": 'kind = "cifar10"'}, ["'cifar10'", "digits"]),
        ({"task": 'kind = "csv"\npath = "no.csv"\ntarget = "class"'}, ["no.csv"]),
        ({"task": 'kind = "images"\npath = "nowhere"'}, ["nowhere"]),
        ({"task": 'kind = "nowhere:load"'}, ["nowhere"]),
        ({"carbon": 'region = "Atlantis"'}, ["[carbon] region", "Atlantis"]),
        ({"study": 'storage = "sqlite:///no/such/folder/a.db"'}, ["no/such/folder", "folder"]),
        ({"study": 'storage = "oracle+nothing://x"'}, ["oracle+nothing", "driver"]),
        ({"study": 'storage = "not a url"'}, ["not a url"]),
        ({"study": 'storage = "postgresql+psycopg://u@127.0.0.1:1/x"'}, ["cannot be opened"]),
        (
            {
                "space": 'architectures = ["mlp"]\npruning = 0\nbits = 32',
                "training": 'optimizer = "sgd"\nlearning_rate = 0.1\nbatch_size = 32\nx = 1',
            },
            ["[training] x", "unknown key"],
        ),
        ({"training": 'device = "cuda"'}, ["cuda"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_the_study_file(
    command: Command, sections: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    command.write_study(**sections)
    before = command.contents()
    said = command.read("run", "study.toml", code=2)
    for word in words:
        assert word in said.replace("\n", " ")
    assert command.contents() == before


@pytest.mark.parametrize(
    ("rows", "task", "words"),
    [
        (GOOD_ROWS, CSV.replace("class", "klass"), ["klass", "class"]),
        ([f"{i % 9},{i % 7},yes" for i in range(40)], CSV, ["at least 2 classes", "'yes'"]),
        ([*GOOD_ROWS, "1,a few,no"], CSV, ["a few", "row 41", "'b'", "data.csv"]),
        ([*GOOD_ROWS, "1,no"], CSV, ["line 42", "data.csv"]),
        ([*GOOD_ROWS, "1,2,perhaps"], CSV, ["perhaps"]),
    ],
    ids=["no target", "one class", "a text", "a short row", "too rare"],
)
def test_a_table(command: Command, rows: list[str], task: str, words: list[str]) -> None:
    write_csv(command.folder, rows)
    command.write_study(task=task)
    before = command.contents()
    said = command.read("run", "study.toml", code=2)
    for word in words:
        assert word in said
    assert command.contents() == before


def test_a_family_that_does_not_fit_the_data(command: Command) -> None:
    write_csv(command.folder, GOOD_ROWS)
    command.write_study(task=CSV, space='architectures = ["cnn"]')
    before = command.contents()
    assert "'cnn' does not fit" in command.read("run", "study.toml", code=2)
    assert command.contents() == before


def test_an_image_that_cannot_be_read(command: Command) -> None:
    rng = np.random.default_rng(0)
    for label in ("cats", "dogs"):
        folder = command.folder / "pictures" / label
        folder.mkdir(parents=True)
        for index in range(5):
            pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    (command.folder / "pictures" / "cats" / "3.png").write_bytes(b"this is no picture")
    command.write_study(task='kind = "images"\npath = "pictures"')
    before = command.contents()
    assert "3.png" in command.read("run", "study.toml", code=2)
    assert command.contents() == before


def test_a_space_without_a_choice(command: Command) -> None:
    command.write_study(
        space='architectures = ["mlp"]\npruning = 0\nbits = 32',
        training='optimizer = "sgd"\nlearning_rate = 0.1\nbatch_size = 32\nmixed_precision = false'
        "\nepochs = 4",
    )
    # The family's own knobs are left to choose.
    assert command.read_json("plan", "study.toml")["space_size"] == 155
    assert command.contents() == {"study.toml"}


def test_a_name_that_another_study_has(command: Command) -> None:
    command.write_study("a.toml", budget="trials = 1", **FAST)
    command.read("run", "a.toml")
    command.write_study("b.toml", budget="trials = 1", space="bits = [32, 8]")
    before = (command.folder / "greenfront.db").read_bytes()
    said = command.read("run", "b.toml", code=2)
    assert "other settings" in said
    assert "another name" in said
    assert len(command.read_json("studies")["studies"]) == 1
    assert (command.folder / "greenfront.db").read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ["front", "x"],
        ["resume", "x"],
        ["ledger", "x"],
        ["report", "x"],
        ["studies"],
        ["run", "nowhere.toml"],
        ["plan", "nowhere.toml"],
        ["run", "--trials", "0", "study.toml"],
        ["run"],
        ["frobnicate"],
        ["front", "--nonsense", "x"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_wrong_usage(command: Command, words: list[str]) -> None:
    assert command.read(*words, code=2)
    assert command.contents() == set()


def test_a_file_that_is_no_database(command: Command) -> None:
    (command.folder / "greenfront.db").write_text("this is a letter to my aunt " * 100)
    assert "cannot be opened" in command.run("studies", code=2)


def test_a_storage_without_studies_has_none_and_stays_as_it_is(command: Command) -> None:
    """One that is not there is wrong usage: a mistyped name is no empty storage."""
    file = command.folder / "greenfront.db"
    assert "'greenfront.db' does not exist" in command.read("studies", "--json", code=2)
    assert not file.exists()
    file.touch()
    found = {"storage": "sqlite:///greenfront.db", "studies": []}
    assert command.read_json("studies") == found
    assert "No studies yet" in command.read("studies")
    assert "holds no greenfront study" in command.read("front", "x", code=2)
    assert file.stat().st_size == 0


def test_a_study_that_does_not_exist_names_its_neighbours(command: Command) -> None:
    command.write_study(study='name = "digits"', budget="trials = 1", **FAST)
    command.read("run", "study.toml")
    assert "digits" in command.read("front", "digit", code=2)
    assert "--by" in command.read("ledger", "digits", "--by", "weather", code=2)
    assert "nowhere" in command.read("report", "digits", "-o", "nowhere/report.html", code=2)

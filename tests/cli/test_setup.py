from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from contracts.command import HEAVY, Command
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

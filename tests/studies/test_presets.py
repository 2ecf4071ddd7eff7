from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from greenfront.errors import UsageError
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.presets.compose import TASKS, compose

COMMENTED = re.compile(r"^# (?=\w+ = )", re.MULTILINE)


def read(tmp_path: Path, text: str) -> StudyFile:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return StudyFile.read(path)


@pytest.mark.parametrize("task", TASKS)
def test_every_preset_is_a_study_file(tmp_path: Path, task: str) -> None:
    file = read(tmp_path, compose(task))
    kind = {"custom": "my_data:load"}.get(task, task)
    assert file.task.kind == kind
    assert file.task.name
    assert file.space.temperature == (1.0, 8.0)
    assert file.budget.trials == 40


@pytest.mark.parametrize("task", TASKS)
def test_every_key_that_a_preset_mentions_is_known(tmp_path: Path, task: str) -> None:
    text, commented = COMMENTED.subn("", compose(task))
    assert commented >= 16
    # Only these two exclude each other.
    assert text.count("g_per_kwh = ") == 1
    file = read(tmp_path, re.sub(r"^g_per_kwh = .*$", "", text, flags=re.MULTILINE))
    assert file.carbon.region == "FRA"
    assert file.task.family is not None
    file = read(tmp_path, re.sub(r"^region = .*$", "", text, flags=re.MULTILINE))
    assert file.carbon.g_per_kwh == 56.0
    assert file.space.architectures == ("cnn", "timm:resnet50@hub")
    assert (file.limits.artefact_bytes, file.budget.kwh) == (500_000, 0.05)


def test_what_a_preset_writes_out_is_the_default(tmp_path: Path) -> None:
    file = read(tmp_path, compose("digits"))
    default = StudyFile.from_stored({"task": {"kind": "digits"}, "study": {"name": "digits"}})
    # The one line that switches something on: distillation.
    expected = default.to_json()
    expected["space"]["temperature"] = [1.0, 8.0]
    assert file.to_json() == expected


def test_what_a_preset_calls_the_default_is_the_default() -> None:
    text = COMMENTED.sub("", compose("digits"))
    keys = tomllib.loads(text)
    default = StudyFile.from_stored({"task": {"kind": "digits"}}).to_json()
    for section, key in [
        *(("task", "validation_fraction"), ("task", "test_fraction"), ("training", "device")),
        *(("training", "mixed_precision"), ("objectives", "batch"), ("carbon", "pue")),
        ("carbon", "embodied_kg_per_device_hour"),
    ]:
        assert keys[section][key] == default[section][key]


MENTIONED = re.compile(r"^(?:#\s+)?(?=\w+ = )", re.MULTILINE)


def mentioned(text: str) -> list[tuple[str, str, Any]]:
    """Section, key and value of each key that a preset mentions, however it is commented out."""
    found = []
    section = ""
    for line in MENTIONED.sub("", text).splitlines():
        if line.startswith("["):
            section = line[1 : line.index("]")]
        elif re.match(r"\w+ = ", line):
            found += [(section, key, value) for key, value in tomllib.loads(line).items()]
    return found


def test_every_key_of_a_study_file_stands_in_a_preset() -> None:
    stand = {(section, key) for task in TASKS for section, key, _ in mentioned(compose(task))}
    for section, field in StudyFile.model_fields.items():
        table = field.annotation
        assert isinstance(table, type)
        keys = table.model_fields if issubclass(table, BaseModel) else table.__dataclass_fields__
        missing = {key for key in keys if (section, key) not in stand}
        assert not missing, section


def test_every_value_of_a_preset_is_the_default_where_there_is_one() -> None:
    default = StudyFile.from_stored({"task": {"kind": "digits"}}).to_json()
    del default["study"]["name"], default["task"]["kind"]
    for task in TASKS:
        for section, key, value in mentioned(compose(task)):
            usual = default[section].get(key)
            if usual not in (None, []):
                # One value may stand for a list.
                assert usual in (value, [value]), (section, key)


def test_an_unknown_task_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"task 'wine' is unknown: take one of digits, mnist5k, "):
        compose("wine")

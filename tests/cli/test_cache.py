"""``greenfront cache`` as it is typed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from greenfront.cli.amounts import BYTES, amount
from greenfront.cli.app import application
from greenfront.errors import UsageError
from greenfront.objectives.pipeline.lineage import LineageStore, Made, lineage_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = LineageStore(tmp_path / ".greenfront" / "lineage", "wine")

    def make(folder: Path) -> Made:
        (folder / "weights").write_bytes(bytes(2000))
        return Made({})

    for place, stage in enumerate(("train", "export")):
        output = store.output(lineage_key(stage, "x", {}), make, stage=stage)
        used = time.time() - 100 + place
        os.utime(output.folder, (used, used))
    return tmp_path / ".greenfront"


def told(*words: str) -> str:
    result = CliRunner().invoke(application(), ["cache", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def as_json(*words: str) -> Any:
    return json.loads(told(*words, "--json"))


def test_it_shows_what_is_there(folder: Path) -> None:
    found = as_json(str(folder))
    assert (found["entries"], found["removed_entries"]) == (2, 0)
    assert found["bytes"] > 4000
    stages = [(part["study"], part["stage"], part["entries"]) for part in found["parts"]]
    assert stages == [("wine", "export", 1), ("wine", "train", 1)]
    text = told(str(folder))
    assert "2 entries, 4." in text
    assert "wine" in text


def test_it_makes_room(folder: Path) -> None:
    found = as_json(str(folder), "--max-size", "3 kB")
    assert [part["stage"] for part in found["parts"]] == ["export"]
    assert found["removed_entries"] == 1
    text = told(str(folder), "--clear")
    assert "Removed 1 entry, 2." in text
    assert "holds nothing" in text


@pytest.mark.parametrize(
    ("typed", "size"), [("2gb", 2e9), ("1 tB", 1e12), ("0.5 KiB", 512), ("7", 7), ("3kb", 3000)]
)
def test_a_size_may_be_typed_in_small_letters(typed: str, size: float) -> None:
    assert amount(typed, BYTES, "--max-size", "2GB") == size


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-size", "two"], "--max-size: must be a number of 0 or more with a unit"),
        (["--clear", "--max-size", "1GB"], "give one of them"),
    ],
)
def test_wrong_usage(folder: Path, words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(application(), ["cache", str(folder), *words], catch_exceptions=False)


def test_no_folder() -> None:
    with pytest.raises(UsageError, match="there is no folder 'nowhere'"):
        CliRunner().invoke(application(), ["cache", "nowhere"], catch_exceptions=False)

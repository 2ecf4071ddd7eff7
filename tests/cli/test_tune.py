"""One small study, tuned as a user does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from contracts.card import measured_on, play_tensorrt
from contracts.command import FAST, Command
from contracts.shipped import table
from greenfront.search.networks import exploration


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Command:
    command = Command(tmp_path_factory.mktemp("tune"))
    table(command.folder)
    command.write_study(
        study='name = "t"',
        task='kind = "csv"\npath = "table.csv"\ntarget = "goal"',
        space='references = true\narchitectures = ["mlp"]\nbits = [32]',
        training=FAST["training"],
        metering="block_seconds = 0.001",
        objectives="repeats = 1",
        budget="trials = 4",
    )
    command.read("run", "study.toml")
    return command


def test_what_is_found_is_kept_with_the_study(study: Command) -> None:
    before = study.read_json("front", "t")
    told = study.read_json("tune", "t", "--most-accurate")
    assert told["trial"] == before["most_accurate"]
    advice = told["runtime"]
    assert advice["tried"][0]["options"]["threads"] == 1
    assert {each["batch"] for each in advice["tried"]} >= {1, 8}
    # Beside other tests nothing need be clearly cheaper: what was tried is told in any case.
    assert told["made"] or told["remarks"]
    assert told["kwh"] > 0
    spent = study.read("ledger", "t")
    assert "tune" in spent
    numbers = [each["trial"] for each in told["made"]]
    assert all(number >= 4 for number in numbers)
    # The study goes on as if nothing had been: what was made counts in no budget of trials.
    study.read("resume", "t", "--trials", "5")
    (listed,) = study.read_json("studies")["studies"]
    assert listed["finished"] == 5
    rows = study.read_json("front", "t")["rows"]
    made = {row["trial"]: row["derived"] for row in rows if row["derived"]}
    assert set(made) <= set(numbers)


def test_people_read_it(study: Command) -> None:
    told = study.read("tune", "t", "--trial", "2", "--only", "runtime")
    assert "Ways to run trial 2, by measured joules" in told
    assert "1 thread, graph not optimized" in told
    assert "which the study's ledger holds" in told


def test_of_a_study_on_a_gpu_the_ways_to_run_it_alone(
    study: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU plays the card's part, which nothing meters: so nothing saves."""
    folder = tmp_path / "copy"
    shutil.copytree(study.folder, folder)
    measured_on(folder, "cuda")
    play_tensorrt(monkeypatch)
    monkeypatch.setattr(exploration, "CARD_BLOCK_SECONDS", 0.0)
    told = Command(folder).read_json("tune", "t", "--trial", "3")
    tried = told["runtime"]["tried"]
    assert [each["options"]["tensorrt"] for each in tried].count(True) == 1
    assert {each["options"]["threads"] for each in tried} == {1}
    assert told["runtime"]["best"] is None
    assert [remark.partition(":")[0] for remark in told["remarks"]] == [
        "no bits by layer",
        "no cascade",
    ]
    Command(folder).read("export", "t", "--trial", "3", "-o", "out")
    assert json.loads((folder / "out" / "claims.json").read_text())["runtime"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("tune", "t", "--only", "luck"), "--only must be one of runtime, bits, cascade, not"),
        (("tune", "t", "--knee", "--trial", "1"), "give one of --trial, --greenest"),
        (("tune", "t", "--trial", "99"), "has no trial 99"),
        (("tune", "u"), "study 'u' does not exist"),
    ],
    ids=range(4),
)
def test_wrong_usage(study: Command, words: tuple[str, ...], told: str) -> None:
    assert told in study.read(*words, code=2)

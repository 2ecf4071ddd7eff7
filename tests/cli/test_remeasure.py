"""A front that was searched on one machine and is measured again on another."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.command import FAST, Command
from greenfront.objectives.metering.cpu_model import describe_cpu

FIRST, SECOND = "Core One", "Core Two"


def move_to(machine: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this is a machine with another processor, also for evaluators."""
    table = folder / f"{machine}.cpuinfo"
    table.write_text(f"model name\t: {machine}\nflags\t: hypervisor\n")
    monkeypatch.setattr(describe_cpu, "__defaults__", (table,))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Command:
    command = Command(tmp_path_factory.mktemp("remeasured"))
    with pytest.MonkeyPatch.context() as patch:
        move_to(FIRST, command.folder, patch)
        command.write_study(
            study='name = "moved"',
            budget="trials = 3",
            metering='block_seconds = 0.01\nmachines = "any"\nwatts_per_thread = 5.0',
            objectives="repeats = 2",
            **FAST,
        )
        command.read("run", "study.toml")
    return command


def test_what_each_machine_reads_stands_apart(
    searched: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One draws ten times as much as the other: no median may hold readings of both."""
    before = searched.read_json("front", "moved")
    assert before["machines"] == [FIRST]
    assert before["machine"] is None
    assert {row["phases"]["machine"] for row in before["rows"]} == {FIRST}
    spent = searched.read_json("ledger", "moved", "--by", "run")

    move_to(SECOND, searched.folder, monkeypatch)
    done = searched.read_json("remeasure", "moved", "--watts-per-thread", "50")
    assert done["machine"] == SECOND
    assert done["lost"] == {}
    assert done["kwh"] > 0
    members = {row["trial"] for row in before["rows"]} | {before["baseline"]["trial"]}
    assert set(done["trials"]) == members

    after = searched.read_json("front", "moved")
    assert after["machines"] == [FIRST, SECOND]
    assert after["machine"] == SECOND
    rows = {row["trial"]: row for row in (*after["rows"], after["baseline"])}
    for row in (*before["rows"], before["baseline"]):
        mine, its = row["phases"], rows[row["trial"]]["phases"] if row["trial"] in rows else None
        if its is None:  # the other machine may rank it otherwise
            continue
        assert its["machine"] == SECOND
        assert "50 W" in its["source"]
        assert its["inference_joules"] > 3 * mine["inference_joules"]
        assert its["making_kwh"] == mine["making_kwh"]
        assert rows[row["trial"]]["measurements"] == 2
    each = searched.read_json("front", "moved", "--machine", "each")
    assert each["rows"] == before["rows"]

    told = searched.read_json("ledger", "moved", "--by", "run")
    assert len(told["parts"]) == len(spent["parts"]) + 1


def test_people_are_told_on_which_machine_joules_were_read(
    searched: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_to(SECOND, searched.folder, monkeypatch)
    said = searched.read("remeasure", "moved", "--watts-per-thread", "50")
    assert f"{SECOND} has measured" in said
    assert "round 1 of 2" in said
    shown = " ".join(searched.read("front", "moved").split())
    assert f"ranked by what {SECOND} read of their predictions" in shown
    assert f"making them was metered on {FIRST}" in shown
    searched.read("report", "moved")
    page = (searched.folder / "report.html").read_text()
    assert f"ranked by what {SECOND} read" in page
    with_first = searched.read_json("front", "moved", "--machine", "one")
    assert with_first["machine"] == FIRST
    refused = searched.read("front", "moved", "--machine", "core", code=2)
    assert "enough of its name" in refused


def test_a_file_that_is_not_here_is_said(
    searched: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_to(SECOND, searched.folder, monkeypatch)
    cache = searched.folder / ".greenfront"
    cache.rename(searched.folder / "elsewhere")
    try:
        said = searched.read("remeasure", "moved", code=1)
    finally:
        if cache.exists():
            cache.rename(searched.folder / "made")
        (searched.folder / "elsewhere").rename(cache)
    assert "was measured: its file is not in" in " ".join(said.split())
    assert searched.read_json("front", "moved")["machine"] == SECOND


def test_a_run_elsewhere_leaves_the_readings_of_other_machines_alone(
    searched: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = searched.read_json("front", "moved", "--machine", "each")
    move_to(SECOND, searched.folder, monkeypatch)
    said = " ".join(searched.read("resume", "moved", "--trials", "4").split())
    assert "3 trials of other processors cannot be measured again here" in said
    after = searched.read_json("front", "moved", "--machine", "each")
    mine, its = (found["baseline"]["phases"] for found in (before, after))
    assert its["inference_joules"] == mine["inference_joules"]
    assert after["baseline"]["measurements"] == before["baseline"]["measurements"]
    shown = " ".join(searched.read("front", "moved", "--machine", "each").split())
    assert f"Energy was metered on 2 unlike processors ({FIRST}, {SECOND})" in shown
    assert "Predictions were read of trial" in shown

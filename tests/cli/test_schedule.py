"""A search that waits for clean electricity, for real, on a clock whose hours take 0.7 seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.command import Command
from contracts.peek import rows
from contracts.waiting import PATIENCE_SECONDS, eventually

START = datetime(2026, 3, 1, tzinfo=UTC)
SECONDS_AN_HOUR = 0.7
CLEAN, DIRTY = 100.0, 500.0
BLOCK_HOURS = 2
NIGHT_HOURS = 12
DEADLINE_HOURS = 600
BEFORE_HOURS = 240
"""What the command took before its study began is emitted too: on a busy machine, half a minute."""

FORBID_NETWORK = '''
"""Forbids every socket but those within this machine's own kernel."""
import socket

class Local(socket.socket):
    def __init__(self, family=socket.AF_INET, *rest, **named):
        if family in (-1, socket.AF_INET, socket.AF_INET6):
            raise AssertionError("a network socket was opened")
        super().__init__(family, *rest, **named)

socket.socket = Local
'''

CARBON = (
    f'trace = "intensity.csv"\nschedule = "greenest"\ndeadline_hours = {DEADLINE_HOURS}\n'
    f"replay_start = {START:%Y-%m-%dT%H:%M:%SZ}\nreplay_speed = {3600 / SECONDS_AN_HOUR}"
)
LONG = {
    "space": 'architectures = ["mlp"]\nbits = 32\npruning = 0.0',
    "training": 'epochs = 100\npatience = 0\noptimizer = "sgd"\nbatch_size = 32',
    "objectives": "repeats = 1",
}
"""Trials of some seconds, longer than a clean block."""


def clean(instant: datetime) -> bool:
    """A dirty night, then clean and dirty hours in turn."""
    hour = int((instant - START).total_seconds() // 3600) - NIGHT_HOURS
    return hour >= 0 and hour // BLOCK_HOURS % 2 == 0


def write_trace(folder: Path) -> float:
    """Gives its mean."""
    hours = range(-BEFORE_HOURS, DEADLINE_HOURS + 100)
    instants = [START + timedelta(hours=hour) for hour in hours]
    grams = [CLEAN if clean(instant) else DIRTY for instant in instants]
    rows = [f"{at:%Y-%m-%dT%H:%M:%SZ},{value}" for at, value in zip(instants, grams, strict=True)]
    (folder / "intensity.csv").write_text("\n".join(["timestamp_utc,g_per_kwh", *rows]) + "\n")
    return sum(grams) / len(grams)


def grid(folder: Path) -> Callable[[float], datetime]:
    """From an instant to the replayed time, reckoned apart from our own code."""
    (began,) = [row["created_at"] for row in rows(folder, "SELECT * FROM greenfront_studies")]
    return lambda instant: START + timedelta(hours=(instant - began) / SECONDS_AN_HOUR)


def interrupted_in_a_wait(
    command: Command, words: tuple[str, ...], where: str, number: signal.Signals
) -> str:
    """Starts, waits until the search waits, and stops it there."""
    process = command.start(*words, PYTHONPATH=str(command.folder))
    query = f"SELECT * FROM greenfront_pauses WHERE ended_at IS NULL AND number {where}"
    eventually(lambda: rows(command.folder, query), "wait", process)
    os.killpg(process.pid, number)
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1, said
    assert "Traceback" not in said
    assert "greenfront resume green" in said
    assert not rows(command.folder, "SELECT * FROM greenfront_pauses WHERE ended_at IS NULL")
    return said


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Stopped in its wait before the first trial, again in one between epochs, and finished."""
    folder = tmp_path_factory.mktemp("schedule")
    (folder / "sitecustomize.py").write_text(FORBID_NETWORK)
    write_trace(folder)
    command = Command(folder)
    command.write_study(study='name = "green"', carbon=CARBON, budget="trials = 2", **LONG)
    told = [
        interrupted_in_a_wait(command, ("run", "study.toml"), "IS NULL", signal.SIGTERM),
        interrupted_in_a_wait(command, ("resume", "green"), "IS NOT NULL", signal.SIGINT),
        command.run("resume", "green", PYTHONPATH=str(folder)),
    ]
    (folder / "said").write_text("\n".join(told))
    return command


def test_the_network_was_forbidden_indeed(study: Command) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 9))"],
        env=os.environ | {"PYTHONPATH": str(study.folder)},
        capture_output=True,
        text=True,
    )
    assert "a network socket was opened" in done.stderr


def test_it_waits_before_trials_and_between_epochs_and_ends_in_time(study: Command) -> None:
    said = (study.folder / "said").read_text()
    assert "all 2 trials are finished" in said
    assert "wait until 2026-03-01 12:00 UTC: 100 g/kWh instead of" in said
    assert "(replayed clock)" in said
    pauses = rows(study.folder, "SELECT * FROM greenfront_pauses ORDER BY started_at")
    assert pauses[0]["number"] is None
    assert any(pause["number"] is not None for pause in pauses)
    at = grid(study.folder)
    for pause in pauses:
        assert pause["ended_at"] > pause["started_at"]
        assert "wait until" in pause["reason"]
        began = at(pause["started_at"])
        assert pause["clock_started_at"] == pytest.approx(began.timestamp(), abs=1)
        assert not clean(began)
    trials = rows(study.folder, "SELECT * FROM greenfront_trials")
    assert [trial["state"] for trial in trials] == ["complete", "complete"]
    last = max(trial["finished_at"] for trial in trials)
    assert at(last) < START + timedelta(hours=DEADLINE_HOURS)


def test_no_training_in_dirty_hours_beyond_the_epoch_in_flight(study: Command) -> None:
    entries = rows(study.folder, "SELECT * FROM greenfront_ledger WHERE phase = 'train'")
    assert len(entries) > 4
    whole = sum(entry["cpu_seconds"] for entry in entries)
    assert whole > 1
    # Each entry ends where a pause begins: what lies in the dirty block is an epoch's end.
    at, dirty = grid(study.folder), 0.0
    for entry in entries:
        span = entry["ended_at"] - entry["started_at"]
        steps = 200
        middles = (entry["started_at"] + span * (step + 0.5) / steps for step in range(steps))
        share = sum(not clean(at(middle)) for middle in middles) / steps
        dirty += share * entry["cpu_seconds"]
    assert dirty < 0.15 * whole
    told = rows(study.folder, "SELECT DISTINCT phase FROM greenfront_ledger")
    assert "waiting" in {row["phase"] for row in told}


def test_the_ledger_shows_when_it_ran_and_what_it_saved(study: Command) -> None:
    found = study.read_json("ledger", "green")
    times = found["timing"]
    assert times["clock"] == "replayed"
    assert times["told_share"] == pytest.approx(1)
    assert times["co2_kg"] == pytest.approx(found["total"]["co2_kg"])
    assert times["saved_co2_kg"] == pytest.approx(times["unpaused_co2_kg"] - times["co2_kg"])
    assert times["saved_co2_kg"] > 0
    assert times["waited_seconds"] > 2
    entries = rows(
        study.folder,
        "SELECT l.*, m.basis, m.unpaused_co2_kg FROM greenfront_ledger l "
        "JOIN greenfront_moments m ON l.entry_id = m.entry_id",
    )
    assert {entry["basis"] for entry in entries} == {"trace"}
    trained = [entry for entry in entries if entry["phase"] == "train" and entry["co2_kg"]]
    mean = sum(e["co2_kg"] for e in trained) / sum(e["joules"] for e in trained) * 3.6e6 * 1000
    assert CLEAN <= mean < 160
    assert all(entry["unpaused_co2_kg"] == 0 for entry in entries if entry["phase"] == "waiting")
    for start, end in times["stretches"]:
        assert datetime.fromisoformat(start) < datetime.fromisoformat(end)
    assert len(times["stretches"]) > 1
    said = " ".join(study.read("ledger", "green").split())
    assert "(replayed clock)" in said
    assert "for cleaner electricity, in" in said
    assert "waiting has saved" in said


def test_scores_do_not_depend_on_when_trials_ran_and_outlive_the_trace(study: Command) -> None:
    trace = study.folder / "intensity.csv"
    kept = trace.read_text()
    mean = write_trace(study.folder)
    assert trace.read_text() == kept
    trace.unlink()
    try:
        front = study.read_json("front", "green")
        for row in front["rows"]:
            # Whenever it is handed in, the deadline leaves a clean hour.
            made = row["phases"]["training_kwh"] * CLEAN
            phases = row["phases"]
            joules = phases["inference_joules"] + phases["preprocessing_joules"]
            used = 1e6 * joules / 3.6e6 * mean
            assert row["co2_kg"] == pytest.approx((made + used) / 1000)
        again = study.read_json("whatif", "green")
        assert again["before"] == again["after"] == front
        assert again["scenario"]["making_g_per_kwh"] == pytest.approx(CLEAN)
        elsewhere = study.read_json("whatif", "green", "--g-per-kwh", "300")["scenario"]
        assert elsewhere["making_g_per_kwh"] == elsewhere["g_per_kwh"] == 300
        study.read_json("report", "green")
        page = " ".join((study.folder / "report.html").read_text().split())
        assert "waiting has saved" in page
        assert "Training a model counts with 100 g per kWh" in page
        assert "intensity.csv" in study.read("resume", "green", "--trials", "3", code=2)
        trace.write_text(kept.replace("500.0", "501.0"))
        refused = study.read("resume", "green", "--trials", "3", code=2)
        assert "has another content than when study 'green' began" in refused
    finally:
        trace.write_text(kept)


def test_plan_tells_what_waiting_saves(study: Command) -> None:
    found = study.read_json("plan", "study.toml")
    schedule = found["schedule"]
    assert schedule["kind"] == "modelled"
    assert schedule["g_per_kwh"] == pytest.approx(CLEAN)
    assert schedule["at_once_g_per_kwh"] > 200
    assert schedule["saving"] == pytest.approx(1 - CLEAN / schedule["at_once_g_per_kwh"])
    assert any("waiting saves" in r and "(replayed clock)" in r for r in found["remarks"])
    short = CARBON.replace(f"deadline_hours = {DEADLINE_HOURS}", "deadline_hours = 1")
    study.write_study("short.toml", study='name = "s"', carbon=short, **LONG)
    found = study.read_json("plan", "short.toml")
    assert found["schedule"] is None
    assert any("the deadline of 1 h is too short to wait" in r for r in found["remarks"])

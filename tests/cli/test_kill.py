"""``kill -9`` at any moment, two runs at once, and orderly ends: the total stays exact."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import optuna
import psutil
import pytest

from contracts.command import FAST, Command
from contracts.forked import ForkedCommand
from contracts.peek import rows
from contracts.waiting import PATIENCE_SECONDS, eventually

TRIALS = 12


def finished(folder: Path) -> list[tuple[int, str]]:
    """Numbers and keys of the finished trials, read without our own code."""
    query = (
        "SELECT number, key FROM greenfront_trials "
        "WHERE state IN ('complete', 'stopped', 'failed') ORDER BY number"
    )
    return [(int(number), str(key)) for number, key in rows(folder, query)]


def wait_for(folder: Path, trials: int, process: subprocess.Popen[str] | ForkedCommand) -> None:
    eventually(lambda: len(finished(folder)) >= trials, f"{trials} trials", process)


def kill_group(process: subprocess.Popen[str]) -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    assert family, "the evaluator is a process of its own"
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
    assert not [child for child in family if child.is_running()]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_killed_twice_and_resumed_it_ends_with_exactly_all_trials(command: Command) -> None:
    command.write_study(study='name = "digits"', budget=f"trials = {TRIALS}", **FAST)
    process = command.start("run", "study.toml")
    wait_for(command.folder, 3, process)
    kill_group(process)
    before = finished(command.folder)
    spent_before = command.read_json("ledger", "digits")["total"]["kwh"]
    assert 3 <= len(before) < TRIALS
    assert spent_before > 0

    # Again, at another moment: in the middle of a trial, or between two.
    process = command.fork("resume", "digits")
    wait_for(command.folder, len(before) + 2, process)
    kill_group(process)
    middle = finished(command.folder)
    assert middle[: len(before)] == before

    said = command.read("resume", "digits")
    assert f"all {TRIALS} trials are finished" in said
    after = finished(command.folder)
    assert len(after) == TRIALS
    assert set(middle) <= set(after)
    assert len({key for _, key in after}) == TRIALS

    ledger = command.read_json("ledger", "digits", "--by", "state")
    assert ledger["total"]["kwh"] > spent_before
    study = optuna.load_study(
        study_name="digits", storage=f"sqlite:///{command.folder}/greenfront.db"
    )
    assert not [trial for trial in study.trials if not trial.state.is_finished()]
    # Resuming a finished study does nothing.
    command.read("resume", "digits")
    assert finished(command.folder) == after


def test_two_runs_at_once_share_the_trials(command: Command) -> None:
    command.write_study(study='name = "shared"', budget="trials = 8", **FAST)
    runs = [command.fork("run", "study.toml") for _ in range(2)]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    after = finished(command.folder)
    assert len(after) == len({key for _, key in after}) == 8
    printed = [text.count("/prediction  ") for text in said]
    assert sum(printed) == 8
    by_run = command.read_json("ledger", "shared", "--by", "run")["parts"]
    assert len(by_run) == 2
    assert all(part["kwh"] > 0 for part in by_run.values())


def test_an_orderly_stop_says_how_to_go_on(command: Command) -> None:
    """Ctrl-C, then what a scheduler sends."""
    command.write_study(study='name = "stopped"', budget="trials = 8", **FAST)
    before: list[tuple[int, str]] = []
    for number, more, words in (
        (signal.SIGINT, 2, ("run", "study.toml")),
        (signal.SIGTERM, 1, ("resume", "stopped")),
    ):
        process = command.fork(*words)
        wait_for(command.folder, len(before) + more, process)
        os.killpg(process.pid, number)
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 1
        assert "greenfront resume stopped" in said
        assert "Traceback" not in said
        stopped = finished(command.folder)
        assert len(stopped) >= len(before) + more, sorted(p.name for p in command.folder.iterdir())
        assert set(before) <= set(stopped)
        before = stopped
    command.read("resume", "stopped")
    after = finished(command.folder)
    assert set(before) <= set(after)
    assert len(after) == 8
    assert "failed" not in command.read_json("ledger", "stopped", "--by", "state")["parts"]

"""The evaluator of the untouched baseline is killed in the middle of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from contracts.command import FAST, Command
from greenfront.search.trials.running import RunningTrial


def kill_evaluators(monkeypatch: pytest.MonkeyPatch, most: int) -> list[list[int]]:
    """Kills what evaluates, in the middle of the first trial, some times; gives the processes."""
    killed: list[list[int]] = []
    progress = RunningTrial.progress

    def killing(context: RunningTrial, message: str) -> None:
        if context.number == 0 and len(killed) < most:
            children = psutil.Process().children()
            alive = [c.pid for c in children if c.status() != psutil.STATUS_ZOMBIE]
            # Evaluators lead sessions of their own; what else this process has started does not.
            killed.append([pid for pid in alive if os.getsid(pid) == pid])
            for pid in killed[-1]:
                os.kill(pid, signal.SIGKILL)
        progress(context, message)

    monkeypatch.setattr(RunningTrial, "progress", killing)
    return killed


def test_it_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = Command(tmp_path)
    command.write_study(study='name = "killed"', budget="trials = 1", **FAST)
    killed = kill_evaluators(monkeypatch, 1)
    said = command.read("run", "study.toml")
    assert len(killed) == 1
    assert "trial 0 failed" in said
    assert "tried again, for the 2. of 3 times" in said
    assert "No untouched baseline" not in said
    assert command.read_json("front", "killed")["baseline"]["trial"] == 0
    # All of its attempts are charged to it, the last one went through.
    assert set(command.read_json("ledger", "killed", "--by", "state")["parts"]) == {
        "complete",
        "search",
    }


def test_without_one_that_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = Command(tmp_path)
    command.write_study(study='name = "killed"', budget="trials = 2", **FAST)
    killed = kill_evaluators(monkeypatch, 3)
    said = command.read("run", "study.toml")
    assert len(killed) == 3
    told = "No untouched baseline has come to a result (trial 0 failed"
    assert told in said.partition("Pareto front")[0]
    front = command.read("front", "killed")
    assert front.startswith(told)
    command.read("report", "killed", "-o", "report.html")
    page = (tmp_path / "report.html").read_text()
    assert told in page.partition("<p class='lead'>")[2][:200]

"""A run that is stopped in the middle of a trial until another one has taken it over."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa

from contracts.problems import Menu
from contracts.waiting import PATIENCE_SECONDS, eventually
from greenfront import optimize_problem
from greenfront.search.optimize import SearchOptions
from greenfront.studies.store import runs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import trials_table

TESTS = Path(__file__).parents[2]
SCRIPT = """
import sys, time
from pathlib import Path

from contracts.problems import Menu
from greenfront import optimize_problem
from greenfront.search.runs import heartbeat
from greenfront.search.optimize import SearchOptions
from greenfront.studies.store import processes, runs

url, sampler, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
processes._namespace = lambda: "pid:[1]"  # as in a container beside the test
heartbeat.HEARTBEAT_SECONDS = runs.HEARTBEAT_SECONDS = 0.05

def before(candidate):
    if len(problem.tried) == 2:
        (folder / "third").touch()
        while not (folder / "go on").exists():
            time.sleep(0.01)

class Screen:
    def changed(self, status): ...
    def finished(self, row): ...
    def note(self, message): print(message, flush=True)

problem = Menu(before=before)
result = optimize_problem(
    problem, trials=6, sampler=sampler, storage=url, options=SearchOptions(observer=Screen())
)
print(result.reason, flush=True)
"""


def suspend(process: subprocess.Popen[str], database: Path) -> None:
    """Stops a process at a moment at which it does not hold the database's lock."""
    while True:
        process.send_signal(signal.SIGSTOP)
        try:
            with contextlib.closing(sqlite3.connect(database, timeout=1)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                return
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.02)


@pytest.mark.parametrize("sampler", ["nsga2", "green"])
def test_its_late_result_is_dropped_in_one_line(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr("greenfront.search.runs.heartbeat.HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(runs, "LATE_BEATS", 100)  # of a busy machine
    monkeypatch.setattr(runs, "SILENCE_SECONDS", 1.0)
    url = f"sqlite:///{tmp_path}/study.db"
    command = [sys.executable, "-W", "error", "-c", SCRIPT, url, sampler, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            eventually((tmp_path / "third").exists, "third trial", process)
            suspend(process, tmp_path / "study.db")
            mine = Menu()
            options = SearchOptions()
            result = optimize_problem(
                mine,
                trials=6,
                sampler=sampler,  # type: ignore[arg-type]
                storage=url,
                options=options,
            )
            assert len(result.trials) == 6
            assert [row.state for row in result.trials] == ["complete"] * 6
            (tmp_path / "go on").touch()
            process.send_signal(signal.SIGCONT)
            said = process.communicate(timeout=PATIENCE_SECONDS)[0]
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert "Traceback" not in said
    lines = said.splitlines()
    assert [line.partition(", its result")[0] for line in lines if "too late" in line] == [
        "trial 2 ended too late"
    ]
    assert lines[-1].startswith(("all 6 trials", "the effort of 6"))
    storage = Storage(url, create=False)
    rows = storage.rows(sa.select(trials_table))
    storage.close()
    assert [row.state for row in rows] == ["complete"] * 6
    assert len({row.key for row in rows}) == 6
    study = optuna.load_study(study_name="study", storage=url)
    assert all(trial.state.is_finished() for trial in study.trials)

"""Ctrl-C before there is a study to go on with: said in one line, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from contracts.command import FAST, Command
from contracts.forked import ForkedCommand
from contracts.waiting import PATIENCE_SECONDS, eventually

BEFORE = "Stopped before the study began: nothing was written.\n"

SLOW_IMPORT = '''
"""Makes one import take as long as on the slowest machine, and says when it has begun."""
import pathlib, sys, time

class Slow:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            pathlib.Path({marker!r}).touch()
            # In short steps: a signal just before a sleep is only seen after it.
            for _ in range(600):
                time.sleep(0.1)

sys.meta_path.insert(0, Slow)
'''

SLOW_DATA = """
import pathlib, time

def load():
    pathlib.Path({marker!r}).touch()
    for _ in range(600):
        time.sleep(0.1)
"""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    folder = tmp_path / "study"
    folder.mkdir()
    return Command(folder)


def stop(process: subprocess.Popen[str] | ForkedCommand, marker: Path) -> str:
    """Presses Ctrl-C once the process has come to the marker."""
    eventually(marker.exists, "marker", process)
    os.killpg(process.pid, signal.SIGINT)
    try:
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1, said
    return said


@pytest.mark.parametrize(
    ("words", "module", "message"),
    [
        (["run", "study.toml"], "typer", BEFORE),
        (["run", "study.toml"], "optuna", BEFORE),
        (["plan", "study.toml"], "numpy", BEFORE),
        (["resume", "small"], "sqlalchemy", BEFORE),
        (["front", "small"], "sqlalchemy", "Stopped.\n"),
    ],
)
def test_while_packages_are_imported(
    command: Command, tmp_path: Path, words: list[str], module: str, message: str
) -> None:
    marker = tmp_path / "begun"
    place = tmp_path / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(SLOW_IMPORT.format(module=module, marker=str(marker)))
    command.write_study(**FAST)
    process = command.start(*words, PYTHONPATH=str(place))
    assert stop(process, marker) == message
    assert command.contents() == {"study.toml"}


@pytest.mark.parametrize("word", ["run", "plan"])
def test_while_data_are_loaded(command: Command, tmp_path: Path, word: str) -> None:
    marker = tmp_path / "begun"
    (command.folder / "my_data.py").write_text(SLOW_DATA.format(marker=str(marker)))
    command.write_study(task='kind = "my_data:load"', **FAST)
    process = command.fork(word, "study.toml")
    assert stop(process, marker) == BEFORE
    assert "greenfront.db" not in command.contents()

"""One finished study for all tests that only read: each gets a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from contracts.command import Command

ELSEWHERE = "another place.db"
"""The file that the finished study is kept in."""


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Command:
    """The study ``small``: 5 trials, with all that it said in ``said``; not to be changed."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "finished study"
    command = Command(folder)
    # The first worker to come makes it, the other waits.
    with FileLock(f"{folder}.lock"):
        if not (folder / "said").exists():
            folder.mkdir()
            command.write_study(
                study=f'name = "small"\nstorage = "sqlite:///{ELSEWHERE}"',
                space='architectures = ["mlp"]\ntemperature = 3.0',
                training="epochs = 1\nfine_tune_epochs = 1",
                carbon="g_per_kwh = 400\npue = 1.5",
                budget="trials = 5",
            )
            said = command.run("run", "study.toml")
            (folder / "said").write_text(said)
    return command


@pytest.fixture(scope="session")
def copy_study(finished_study: Command) -> Callable[[Path, str], Command]:
    """Copies the finished study into a folder that is not there yet, its storage by that name."""

    def copy(folder: Path, storage: str) -> Command:
        shutil.copytree(finished_study.folder, folder)
        (folder / ELSEWHERE).rename(folder / storage)
        return Command(folder)

    return copy

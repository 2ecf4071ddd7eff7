"""Where the searches of a file of tests are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from greenfront.studies.store.storage import Storage


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which searches run; a file with data of its own has its own."""
    return tmp_path_factory.mktemp("afterwards")


@pytest.fixture
def storage(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """Of that folder, which is the current one."""
    monkeypatch.chdir(here)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = Storage("sqlite:///greenfront.db")
    yield storage
    storage.close()

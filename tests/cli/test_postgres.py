from __future__ import annotations

from pathlib import Path

from contracts.command import FAST, Command
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.trials import Trials


def test_a_search_on_postgresql(storage_url: str, tmp_path: Path) -> None:
    """The same commands on another server; runs on SQLite as well, as ``--storage`` says."""
    command = Command(tmp_path)
    command.write_study(study='name = "elsewhere"', budget="trials = 3", **FAST)
    command.read("run", "study.toml", "--storage", storage_url)
    said = command.read("resume", "elsewhere", "--trials", "5", "--storage", storage_url)
    assert "all 5 trials are finished" in said
    found = command.read_json("front", "elsewhere", "--storage", storage_url)
    assert found["rows"]
    storage = Storage(storage_url, create=False)
    try:
        book = Trials(storage, 1)
        assert book.counts().total() == 5
        assert len({trial.key for trial in book.all()}) == 5
    finally:
        storage.close()

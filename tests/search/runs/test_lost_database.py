"""A database file that is deleted or damaged under a live search."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError

from contracts.problems import Menu
from contracts.waiting import eventually
from greenfront import PlainChoice, optimize_problem
from greenfront.errors import Interrupted, StorageLost
from greenfront.objectives.context import TrialContext
from greenfront.search.problem import Evaluation
from greenfront.search.runs import heartbeat
from greenfront.studies.store.patience import failure_words


def delete(path: Path) -> None:
    for found in path.parent.glob(f"{path.name}*"):
        found.unlink()


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(0)


def replace(path: Path) -> None:
    other = path.with_name("other.db")
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE something (number INTEGER)")
    connection.close()
    other.replace(path)


def files_of(lost: StorageLost) -> tuple[list[dict[str, Any]], str | None]:
    """What the named rescue file holds, and the copy of the database if one is named."""
    said = str(lost)
    path = re.search(r"written to (\S+\.jsonl)", said)
    copy = re.search(r"as it was is in (\S+\.db):", said)
    assert path is not None, said
    lines = [json.loads(line) for line in Path(path[1]).read_text().splitlines()]
    return lines, None if copy is None else copy[1]


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (delete, "was deleted"),
        (truncate, "was truncated"),
        (replace, "was replaced"),
    ],
)
def test_it_ends_the_search_and_what_is_known_is_written(
    harm: Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "study.db"
    url = f"sqlite:///{path}"

    def before(candidate: PlainChoice) -> None:
        if len(problem.tried) == 3:
            harm(path)

    problem = Menu(before=before)
    with pytest.raises(StorageLost, match=told) as raised:
        optimize_problem(problem, trials=8, storage=url)
    (head, *lines), copy = files_of(raised.value)
    assert (head["record"], head["version"], head["study"]) == ("rescue", 1, "study")
    assert told in head["reason"]
    trials = [line for line in lines if line["record"] == "trial"]
    spent = [line for line in lines if line["record"] == "spent"]
    assert [trial["key"] for trial in trials[:3]] == problem.tried[:3]
    assert all(trial["state"] == "complete" and trial["values"] for trial in trials[:3])
    assert [line["number"] for line in spent[:3]] == [trial["number"] for trial in trials[:3]]
    assert all(line["joules"] > 0 for line in spent)
    assert copy is not None or harm is truncate
    if copy is not None:  # of a file that was truncated, where SQLite's log still held all of it
        again = Menu()
        result = optimize_problem(again, trials=8, storage=f"sqlite:///{copy}")
        assert [row.state for row in result.trials] == ["complete"] * 8
        assert len(again.tried) == 5  # the fourth was only known in memory


def test_it_is_noticed_in_the_middle_of_a_long_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.05)
    path, others = tmp_path / "study.db", set(threading.enumerate())

    class Long(Menu):
        def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
            if len(self.tried) < 2:
                return super().evaluate(candidate, context)
            delete(path)
            eventually(lambda: context.stopping, "word to stop")
            raise Interrupted("as an evaluator does between two epochs")

    with pytest.raises(StorageLost, match="was deleted") as raised:
        optimize_problem(Long(), trials=8, storage=f"sqlite:///{path}")
    lines, copy = files_of(raised.value)
    assert [line["record"] for line in lines].count("trial") == 2
    assert copy is not None
    eventually(lambda: set(threading.enumerate()) <= others, "end of the run's threads")


@pytest.mark.parametrize(
    ("pragma", "told"),
    [
        ("max_page_count = 1", "the disk of the database is full (database or disk is full)"),
        ("query_only = ON", "the database did not answer (attempt to write a readonly database)"),
    ],
)
def test_a_full_disk_or_one_that_cannot_be_written_ends_it_and_it_goes_on_later(
    pragma: str, told: str, tmp_path: Path
) -> None:
    """SQLite's own errors, in the middle of a search: what was finished is kept."""
    url = f"sqlite:///{tmp_path}/study.db"
    spoilt = threading.Event()

    def spoil(connection: Any, _record: Any, _proxy: Any) -> None:
        if spoilt.is_set():
            connection.execute(f"PRAGMA {pragma}")

    def before(candidate: PlainChoice) -> None:
        if len(problem.tried) >= 3:
            spoilt.set()

    problem = Menu(before=before)
    sa.event.listen(sa.pool.Pool, "checkout", spoil)
    try:
        with pytest.raises((sa.exc.DBAPIError, StorageInternalError)) as raised:
            optimize_problem(problem, trials=27, storage=url)
    finally:
        sa.event.remove(sa.pool.Pool, "checkout", spoil)
    assert told in failure_words(raised.value)
    again = Menu()
    result = optimize_problem(again, trials=27, storage=url)
    assert [row.state for row in result.trials] == ["complete"] * 27
    assert not set(problem.tried[:3]) & set(again.tried)

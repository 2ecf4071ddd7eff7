"""Several workers of one run: metered apart, none the end of another."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import optuna
import psutil
import pytest

from greenfront.search.optimize import SearchResult
from greenfront.search.session import open_session
from greenfront.search.status import Status
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.trials import NetworkTrial

TRIALS = 7


class Murderer:
    """Kills one evaluator as soon as any trial is over."""

    def __init__(self) -> None:
        self.victim: int | None = None
        self.finished_after = 0

    def changed(self, status: Status) -> None:
        pass

    def finished(self, row: NetworkTrial) -> None:
        if self.victim is not None:
            self.finished_after += 1
            return
        evaluators = [child for child in psutil.Process().children() if child.is_running()]
        self.victim = evaluators[-1].pid
        os.kill(self.victim, signal.SIGKILL)

    def note(self, message: str) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


def children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.fixture(scope="module")
def searched(folder: Path, evaluators: None) -> Iterator[tuple[SearchResult, Storage, float]]:
    """Three workers, one of whose evaluators is killed; and the CPU time of all evaluators."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = StudyFile.from_stored(
        {
            "study": {"name": "three", "cache": str(folder / "cache")},
            "task": {"kind": "digits"},
            "space": {"architectures": ["mlp"], "references": False},
            "training": {"epochs": 1, "fine_tune_epochs": 1},
            "objectives": {"repeats": 1, "folds": 1},
            "metering": {"block_seconds": 0.01},
            "search": {"workers": 3, "stop_below": 0},
            "budget": {"trials": TRIALS},
        }
    )
    storage = Storage(f"sqlite:///{folder}/study.db")
    before = children_cpu_seconds()
    with open_session(file, new_in=storage) as session:
        result = session.search(storage, Murderer())
    yield result, storage, children_cpu_seconds() - before
    storage.close()


def test_the_death_of_an_evaluator_costs_one_trial_and_no_worker(
    searched: tuple[SearchResult, Storage, float],
) -> None:
    result, *_ = searched
    assert len(result.trials) == len({row.key for row in result.trials}) == TRIALS
    failed = [row for row in result.trials if row.state == "failed"]
    assert len(failed) <= 1  # none where it was killed between two trials
    assert all("SIGKILL" in (row.reason or "") for row in failed)
    assert {row.state for row in result.trials} <= {"complete", "stopped", "failed"}


def test_the_workers_parts_are_the_whole_and_no_cpu_second_counts_twice(
    searched: tuple[SearchResult, Storage, float],
) -> None:
    result, storage, used = searched
    ledger = Ledger(storage, 1)
    parts, phases = ledger.by("worker"), ledger.by("phase")
    assert sum(part.kwh for part in parts.values()) == pytest.approx(result.spent.kwh, rel=1e-9)
    workers = {name.rpartition(" ")[2] for name in parts if "no worker" not in name}
    assert workers == {"0", "1", "2"}
    evaluators = sum(part.cpu_seconds for name, part in phases.items() if name != "search")
    # What they used after their last call, to end, was no trial's.
    assert 0.8 * used < evaluators < 1.01 * used

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.evaluators import Purse, start
from greenfront.search.engine.oversubscription import oversubscription_remarks
from greenfront.search.evaluator import cores as module
from greenfront.search.evaluator.cores import CoreLease, cores_here, in_order

SQLITE, POSTGRES = "sqlite:///greenfront.db", "postgresql+psycopg://me@host/name"


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores_here", lambda: tuple(range(8)))


def test_no_core_is_leased_twice(eight: None, tmp_path: Path) -> None:
    leases = [CoreLease.take(2, tmp_path) for _ in range(5)]
    taken = [core for lease in leases if lease for core in lease.cores]
    assert sorted(taken) == list(range(8))
    assert leases[4] is None
    assert leases[1] is not None
    leases[1].release()
    again = CoreLease.take(2, tmp_path)
    assert again is not None
    assert set(again.cores) == set(leases[1].cores)


def test_what_is_too_much_takes_nothing(eight: None, tmp_path: Path) -> None:
    assert CoreLease.take(9, tmp_path) is None
    whole = CoreLease.take(8, tmp_path)
    assert whole is not None


def test_the_cores_of_a_dead_search_are_free(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from greenfront.search.evaluator.cores import CoreLease, cores_here\n"
        "held = CoreLease.take(len(cores_here()), Path(sys.argv[1]))\n"
        "print(len(held.cores), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, check=False
    )
    assert int(done.stdout) == len(cores_here())
    lease = CoreLease.take(len(cores_here()), tmp_path)
    assert lease is not None
    lease.release()


def test_threads_of_other_physical_cores_come_first(tmp_path: Path) -> None:
    for core in range(8):  # 0 and 1 are one core, 2 and 3, …
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        first = core - core % 2
        (folder / "thread_siblings_list").write_text(f"{first}-{first + 1}\n")
    assert in_order(range(8), tmp_path) == [0, 2, 4, 6, 1, 3, 5, 7]
    for core in range(8):  # 0 and 4 are one core, 1 and 5, …
        siblings = tmp_path / f"cpu{core}" / "topology" / "thread_siblings_list"
        siblings.write_text(f"{core % 4},{core % 4 + 4}\n")
    assert in_order(range(8), tmp_path) == list(range(8))
    assert in_order([3, 1], tmp_path / "none") == [1, 3]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads cannot be pinned here")
def test_an_evaluator_stays_on_its_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And gives them back when it has died."""
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))
    evaluator = start(tmp_path, Purse(), pinned=True)
    try:
        kept = os.sched_getaffinity(evaluator._process.pid)
        assert len(kept) == 1
        others = CoreLease.take(len(cores_here()), tmp_path)
        assert others is None
    finally:
        evaluator.close(Purse())
    lease = CoreLease.take(len(cores_here()), tmp_path)
    assert lease is not None
    lease.release()


def test_what_is_said_of_several_workers() -> None:
    assert oversubscription_remarks(1, 4, 2, SQLITE) == []
    [said] = oversubscription_remarks(4, 2, 8, SQLITE)
    assert said == "4 workers, each kept on 2 hardware threads of its own where 8 are free"
    [said] = oversubscription_remarks(4, 2, 4, SQLITE)
    assert "more than the 4 of this machine" in said
    assert "--workers 2 fits" in said
    assert "[study] threads = 2 fits" in oversubscription_remarks(2, 4, 2, SQLITE)[0]
    assert "PostgreSQL" in oversubscription_remarks(5, 1, 8, SQLITE)[1]
    assert len(oversubscription_remarks(5, 1, 8, POSTGRES)) == 1

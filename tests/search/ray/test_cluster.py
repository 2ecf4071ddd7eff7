"""A cluster of two nodes on this machine, whose actors, node and driver are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import optuna
import psutil
import pytest
import sqlalchemy as sa

from contracts.command import FAST, Command
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.tables import ledger_table
from greenfront.studies.store.trials import FINISHED

pytestmark = pytest.mark.long

T = TypeVar("T")

TRIALS = 40
"""At least; how many are asked for is said when the driver has been killed."""
PATIENCE_SECONDS = 240
ACTOR = "ray::RayWorker"
ATTEMPTS = 4
NODE = {"num_cpus": 2, "object_store_memory": 100_000_000}


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]


def begun(add: Callable[..., T], **more: Any) -> T:
    """A node that has begun: Ray gives up on one whose agents take 15 s, as they may here."""
    for attempt in range(ATTEMPTS):
        agent, export, listen = free_ports(3)
        ports = {
            "metrics_agent_port": agent,  # known beforehand, nobody waits for it
            "metrics_export_port": export,
            "dashboard_agent_listen_port": listen,
        }
        try:
            return add(**NODE, **ports, **more)
        except Exception:  # Ray raises no other
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes, the first of them the head."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    before = signal.getsignal(signal.SIGTERM)  # which Ray replaces
    made = cluster_utils.Cluster()
    try:
        begun(made.add_node, include_dashboard=False)
        made.second = begun(made.add_node)
        yield made
    finally:
        made.shutdown()
        signal.signal(signal.SIGTERM, before)


class Watched:
    """A study, looked at through its database."""

    def __init__(self, url: str) -> None:
        self.url = url

    def finished(self) -> int:
        try:
            storage = Storage(self.url, create=False)
        except Exception:  # noqa: BLE001 - not there yet
            return 0
        try:
            counts = Study.open(storage, "scattered").trials.counts()
            return sum(counts[state] for state in FINISHED)
        except Exception:  # noqa: BLE001 - not begun yet
            return 0
        finally:
            storage.close()

    def wait_for(self, trials: int, driver: subprocess.Popen[str]) -> None:
        wait(lambda: self.finished() >= trials or driver.poll() is not None)
        assert driver.poll() is None, driver.communicate()[0]


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def actors() -> list[psutil.Process]:
    """The processes of this study's workers that are at work."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        if command.startswith(ACTOR) and process.children():  # it has an evaluator
            found.append(process)
    return found


@pytest.mark.parametrize("storage_url", ["postgresql"], indirect=True)
def test_every_trial_is_done_once_whatever_is_killed(
    cluster: Any, tmp_path: Path, storage_url: str
) -> None:
    (tmp_path / "rows.csv").write_text(
        "size,weight,class\n"
        + "".join(f"{r % 7}.{r % 3},{r % 5},{'ab'[r % 7 % 2]}\n" for r in range(120))
    )
    command, watched, killed = Command(tmp_path), Watched(storage_url), list[str]()
    command.write_study(
        study='name = "scattered"',
        task='kind = "csv"\npath = "rows.csv"\ntarget = "class"',
        budget="trials = 1000",
        **FAST,
    )
    where = ("--engine", "ray", "--address", cluster.address, "--storage", storage_url)
    draw = random.Random(13)

    def kill_actor(trials: int, driver: subprocess.Popen[str]) -> None:
        watched.wait_for(trials, driver)
        wait(lambda: bool(actors()) or driver.poll() is not None)
        victim = draw.choice(actors())
        victim.kill()
        killed.append(f"actor {victim.pid} after {watched.finished()} trials")

    driver = command.start("run", "study.toml", "--workers", "2", *where)
    try:
        kill_actor(3, driver)
        kill_actor(8, driver)
        watched.wait_for(13, driver)
        cluster.remove_node(cluster.second, allow_graceful=False)
        killed.append(f"the second node after {watched.finished()} trials")
        watched.wait_for(18, driver)
        os.kill(driver.pid, signal.SIGKILL)
        killed.append(f"the driver after {watched.finished()} trials")
        said = driver.communicate(timeout=PATIENCE_SECONDS)[0]
        assert "Ray at " in said
        assert said.count("joined on") >= 3
        assert said.count(" died (") >= 2
        before = watched.finished()
        asked = max(TRIALS, before + 10)
        driver = command.start("resume", "scattered", "--trials", str(asked), *where)
        kill_actor(before + 3, driver)
        said = driver.communicate(timeout=PATIENCE_SECONDS)[0]
        assert driver.returncode == 0, said
        assert f"all {asked} trials are finished" in said
    finally:
        if driver.poll() is None:
            driver.kill()
            driver.communicate()
        sys.stderr.write("\n  ".join(["killed:", *killed]) + "\n")
    assert len(killed) == 5
    check(storage_url, asked)


def check(url: str, asked: int) -> None:
    """Exactly the trials that were asked for, and every row of the ledger once."""
    storage = Storage(url, create=False)
    try:
        study = Study.open(storage, "scattered")
        rows = study.trials.all()
        assert Counter(row.state in FINISHED for row in rows) == {True: asked}
        assert len({row.key for row in rows}) == len({row.slot for row in rows}) == asked
        known = optuna.load_study(study_name="scattered", storage=storage.optuna)
        assert not [trial for trial in known.trials if not trial.state.is_finished()]
        c = ledger_table.c
        entry = (c.run_id, c.worker, c.number, c.phase, c.component, c.started_at, c.ended_at)
        with storage.reading() as connection:
            entries = connection.execute(sa.select(*entry).where(c.joules.is_not(None))).all()
        assert entries
        assert len(entries) == len(set(entries))
        parts = study.ledger.by("run")
        assert len(parts) >= 5  # two workers twice, and those that took others' places
        total = sum(part.kwh for part in parts.values())
        assert total == pytest.approx(study.ledger.total().kwh, rel=1e-9)
        assert study.runs.living() == []
    finally:
        storage.close()

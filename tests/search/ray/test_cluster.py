"""A cluster of two nodes on this machine, whose actors, node, driver and database are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import sqlalchemy as sa

from contracts.command import FAST, Command
from contracts.postgres import Server
from contracts.waiting import PATIENCE_SECONDS, eventually
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.tables import ledger_table, runs_table, trials_table
from greenfront.studies.store.trials import FINISHED

TRIALS = 40
"""At least; how many are asked for is said when the driver has been killed."""
ACTOR = "ray::RayWorker"
OUTAGE = "the database does not answer"
PORTS = (15_000, 30_000)
AGENTS = (
    "runtime_env_agent_port",
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
)
"""Ports of a node's agents. Where one is not told beforehand, Ray gives a node up whose agent takes
more than 15 s to say which it has taken."""
PATIENT = {
    "USAGE_STATS_ENABLED": "0",
    "agent_register_timeout_ms": "240000",
    "worker_register_timeout_seconds": "240",
    "gcs_server_request_timeout_seconds": "240",
    "health_check_failure_threshold": "40",
}
"""Ray's settings: a busy machine is no reason to take anything for dead."""
NODE = {"num_cpus": 2, "object_store_memory": 100_000_000}


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, and that the kernel gives nobody who asks for any."""
    draw, found = random.Random(os.getpid()), list[int]()
    while len(found) < count:
        port = draw.randrange(*PORTS)
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.bind(("", port))
            found.append(port)
    return found


def tell_port_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes the file in which a dashboard agent says where it listens.

    Ray waits for that even where it has told the agent, and for 15 s at most.
    """
    from ray._private.node import Node
    from ray._raylet import DASHBOARD_AGENT_LISTEN_PORT_NAME, persist_port

    start = Node.start_raylet

    def start_raylet(node: Any, *arguments: Any, **more: Any) -> None:
        port = node.dashboard_agent_listen_port
        folder = node.get_session_dir_path()
        persist_port(folder, node.node_id, DASHBOARD_AGENT_LISTEN_PORT_NAME, port)
        start(node, *arguments, **more)

    monkeypatch.setattr(Node, "start_raylet", start_raylet)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes, the first of them the head."""
    for name, value in PATIENT.items():  # before Ray is imported
        monkeypatch.setenv(f"RAY_{name}", value)
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    tell_port_beforehand(monkeypatch)
    before = signal.getsignal(signal.SIGTERM)  # which Ray replaces
    made = cluster_utils.Cluster()
    ports = free_ports(2 * len(AGENTS))
    try:
        made.add_node(**NODE, **dict(zip(AGENTS, ports, strict=False)), include_dashboard=False)
        made.second = made.add_node(**NODE, **dict(zip(AGENTS, ports[::-1], strict=False)))
        yield made
    finally:
        made.shutdown()
        signal.signal(signal.SIGTERM, before)


class Driver:
    """A command that is heard while it works."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""
        self._ear = threading.Thread(target=self._listen)
        self._ear.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as said:
            for line in said:
                self.said += line

    def poll(self) -> int | None:
        return self.process.poll()

    def communicate(self) -> tuple[str, None]:
        """Waits for its end, and gives all that it has said."""
        self.process.wait(PATIENCE_SECONDS)
        self._ear.join()
        return self.said, None


class Watched:
    """A study, looked at through its database."""

    def __init__(self, url: str) -> None:
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)

    def finished(self) -> int:
        ended = sa.select(sa.func.count()).where(trials_table.c.state.in_(FINISHED))
        try:
            with self.engine.connect() as connection:
                return connection.scalar(ended) or 0
        except sa.exc.DBAPIError:  # no tables yet
            return 0

    def wait_for(self, trials: int, driver: Driver) -> None:
        eventually(lambda: self.finished() >= trials, f"{trials} trials", driver)

    def actors(self) -> list[psutil.Process]:
        """The processes of the workers that are at work, and have begun a run of the study."""
        begun = sa.select(runs_table.c.pid).where(runs_table.c.ended_at.is_(None))
        with self.engine.connect() as connection:
            pids = set(connection.scalars(begun))
        found = []
        for process in psutil.process_iter(["cmdline"]):
            command = " ".join(process.info["cmdline"] or ())
            # With a child: it has an evaluator.
            if process.pid in pids and command.startswith(ACTOR) and process.children():
                found.append(process)
        return found


def test_every_trial_is_done_once_whatever_is_killed(
    cluster: Any, tmp_path: Path, server: Server
) -> None:
    (tmp_path / "rows.csv").write_text(
        "size,weight,class\n"
        + "".join(f"{r % 7}.{r % 3},{r % 5},{'ab'[r % 7 % 2]}\n" for r in range(120))
    )
    url = server.url()
    command, watched, killed = Command(tmp_path), Watched(url), list[str]()
    command.write_study(
        study='name = "scattered"',
        task='kind = "csv"\npath = "rows.csv"\ntarget = "class"',
        budget="trials = 1000",
        **FAST,
    )
    where = ("--engine", "ray", "--address", cluster.address, "--storage", url)
    draw = random.Random(13)

    def kill_actor(trials: int, driver: Driver) -> None:
        watched.wait_for(trials, driver)
        victim = draw.choice(eventually(watched.actors, "worker at work", driver))
        victim.kill()
        killed.append(f"actor {victim.pid} after {watched.finished()} trials")

    def restart_server(trials: int, driver: Driver) -> None:
        watched.wait_for(trials, driver)
        killed.append(f"PostgreSQL after {watched.finished()} trials")
        before = driver.said.count(OUTAGE)
        server.stop()  # as a crash would
        eventually(lambda: driver.said.count(OUTAGE) > before, "word of the outage", driver)
        server.start()

    driver = Driver(command.start("run", "study.toml", "--workers", "2", *where))
    try:
        kill_actor(3, driver)
        kill_actor(8, driver)
        restart_server(11, driver)
        watched.wait_for(14, driver)
        cluster.remove_node(cluster.second, allow_graceful=False)
        killed.append(f"the second node after {watched.finished()} trials")
        watched.wait_for(18, driver)
        driver.process.kill()
        killed.append(f"the driver after {watched.finished()} trials")
        said = driver.communicate()[0]
        assert "Ray at " in said
        assert "joined on" in said
        assert " died (" in said
        before = watched.finished()
        asked = max(TRIALS, before + 10)
        driver = Driver(command.start("resume", "scattered", "--trials", str(asked), *where))
        kill_actor(before + 2, driver)
        restart_server(before + 4, driver)
        said = driver.communicate()[0]
        assert driver.poll() == 0, said
        assert f"all {asked} trials are finished" in said
        assert OUTAGE in said
        assert "the database answers again" in said
    finally:
        driver.process.kill()
        driver.communicate()
        sys.stderr.write("\n  ".join(["killed:", *killed]) + "\n")
    assert len(killed) == 7
    check(url, asked)


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
        runs, parts = storage.rows(sa.select(runs_table.c.run_id)), study.ledger.by("run")
        # Two that were killed and who went on after them; one more and who went on after that.
        assert len(runs) >= 5
        assert set(parts) <= {run_id for (run_id,) in runs}
        total = sum(part.kwh for part in parts.values())
        assert total == pytest.approx(study.ledger.total().kwh, rel=1e-9)
        assert study.runs.living() == []
    finally:
        storage.close()

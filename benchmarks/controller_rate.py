"""The controller's rate: trials a second with trivial evaluations, ours beside bare Optuna's.

In turns on databases of one kind with the same settings, SQLite and, where ``initdb`` is found,
PostgreSQL, with 1 and with 8 workers; medians of pairs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna

from greenfront import Evaluation, Objective, PlainChoice, Problem, Real, SearchSpace
from greenfront.objectives.context import TrialContext
from greenfront.search.optimize import SearchOptions, optimize_problem
from greenfront.studies.store.storage import Storage

KNOBS = 6
RATES = 3
"""Pairs."""


class Trivial(Problem[PlainChoice]):
    """Costs nothing."""

    space = SearchSpace(
        tuple(Real(f"x{index}", 0, 1) for index in range(KNOBS)),
        decode=lambda point: PlainChoice(dict(point)),
    )
    objectives = (Objective("a", maximise=True), Objective("b"), Objective("c"))

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        del context
        x = [float(value) for value in candidate.values.values()]
        return Evaluation((x[0], sum(x[1:3]), sum(x[3:])), 0.0)


def bare_rate(url: str, trials: int, workers: int) -> float:
    """Trials a second of Optuna alone."""
    storage = Storage(url)  # the same settings as ours
    study = optuna.create_study(
        storage=storage.optuna,
        directions=["maximize", "minimize", "minimize"],
        sampler=optuna.samplers.NSGAIISampler(population_size=50, seed=0),
    )
    left, lock = iter(range(trials)), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            trial = study.ask()
            x = [trial.suggest_float(f"x{index}", 0, 1) for index in range(KNOBS)]
            study.tell(trial, (x[0], sum(x[1:3]), sum(x[3:])))

    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work) for _ in range(workers)]:
            done.result()
    seconds = time.perf_counter() - began
    storage.close()
    return trials / seconds


def our_rate(url: str, trials: int, workers: int) -> float:
    began = time.perf_counter()
    options = SearchOptions(population=50, workers=workers)
    optimize_problem(Trivial(), trials=trials, storage=url, options=options)
    return trials / (time.perf_counter() - began)


def rates(base: Path, trials: int) -> dict[str, dict[str, float]]:
    """Our rate beside bare Optuna's, by kind of database and number of workers."""
    result = {}
    with contextlib.ExitStack() as stack:
        databases = {"SQLite": lambda name: f"sqlite:///{base}/{name}.db"}
        server = stack.enter_context(postgres())
        if server is not None:
            databases["PostgreSQL"] = server
        for kind, url in databases.items():
            for workers in (1, 8):
                pairs = []
                for turn in range(RATES):
                    tag = f"{workers}_{turn}"
                    theirs = bare_rate(url(f"bare_{tag}"), trials, workers)
                    pairs.append((our_rate(url(f"ours_{tag}"), trials, workers), theirs))
                result[f"{kind}, {workers} worker{'s' * (workers > 1)}"] = {
                    "ours": statistics.median(ours for ours, _ in pairs),
                    "optuna": statistics.median(theirs for _, theirs in pairs),
                    "ratio": statistics.median(ours / theirs for ours, theirs in pairs),
                }
    return result


@contextlib.contextmanager
def postgres() -> Iterator[Any]:
    """Starts a server for this run; gives what makes a database and its URL, or ``None``."""
    homes = os.pathsep.join(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))))
    initdb, pg_ctl = (
        shutil.which(name, path=os.environ["PATH"] + os.pathsep + homes)
        for name in ("initdb", "pg_ctl")
    )
    if initdb is None or pg_ctl is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="greenfront-postgres-") as name:
        folder, user = Path(name), None
        if os.geteuid() == 0:  # PostgreSQL refuses root
            user = pwd.getpwnam("nobody").pw_uid
            os.chown(folder, user, -1)

        def run(*command: str) -> None:
            subprocess.run(
                command, cwd=folder, user=user, check=True, stdout=subprocess.DEVNULL, timeout=60
            )

        def url(database: str) -> str:
            socket = f"host={folder} user=greenfront dbname=postgres"
            import psycopg

            with psycopg.connect(socket, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {database}")
            return f"postgresql+psycopg://greenfront@/{database}?host={folder}"

        data = str(folder / "data")
        options = f"-c listen_addresses= -c unix_socket_directories={folder}"
        run(initdb, "-D", data, "-A", "trust", "-U", "greenfront", "-E", "UTF8", "--locale=C")
        run(pg_ctl, "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield url
        finally:
            run(pg_ctl, "-D", data, "-m", "immediate", "stop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="100 trials instead of 300")
    parser.add_argument("--json", action="store_true", help="only the last line")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="greenfront-rate-") as name:
        result = rates(Path(name), 100 if arguments.quick else 300)
    if not arguments.json:
        print(json.dumps(result, indent=2))
    print(json.dumps(result))


if __name__ == "__main__":
    main()

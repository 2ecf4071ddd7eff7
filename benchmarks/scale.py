"""Trials a second through the whole controller, beside bare Optuna's, with 1 to 16 workers.

Evaluations are trivial. In turns on databases of one kind with the same settings: SQLite and, where
``initdb`` is found, PostgreSQL, with the workers as threads of one process; and, with ``--ray``, as
actors of a cluster that is started here, each a run of its own on PostgreSQL. Medians of pairs.
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
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna

from greenfront import Evaluation, Objective, PlainChoice, Problem, Real, SearchSpace
from greenfront.objectives.context import TrialContext
from greenfront.search.optimize import SearchOptions, optimize_problem
from greenfront.studies.store.storage import Storage

KNOBS = 6
DIRECTIONS = ["maximize", "minimize", "minimize"]
RATES = 3
"""Pairs."""

POPULATION = 50
ALL_WORKERS = (1, 2, 4, 8, 16)


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


def ask_and_tell(study: optuna.Study) -> None:
    """One trial of Optuna alone."""
    trial = study.ask()
    x = [trial.suggest_float(f"x{index}", 0, 1) for index in range(KNOBS)]
    study.tell(trial, (x[0], sum(x[1:3]), sum(x[3:])))


def bare_rate(url: str, trials: int, workers: int) -> float:
    """Trials a second of Optuna alone."""
    storage = Storage(url)  # the same settings as ours
    study = optuna.create_study(
        storage=storage.optuna,
        directions=DIRECTIONS,
        sampler=optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=0),
    )
    left, lock = iter(range(trials)), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            ask_and_tell(study)

    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work) for _ in range(workers)]:
            done.result()
    seconds = time.perf_counter() - began
    storage.close()
    return trials / seconds


def our_rate(url: str, trials: int, workers: int) -> float:
    """Trials a second of the whole call; of opening the database all but making its tables."""
    Storage(url).close()  # as Optuna's are made before its clock begins
    began = time.perf_counter()
    options = SearchOptions(population=POPULATION, workers=workers)
    optimize_problem(Trivial(), trials=trials, storage=url, options=options)
    return trials / (time.perf_counter() - began)


def rates(
    base: Path, trials: int, counts: Sequence[int] = (1, 8), pairs: int = RATES
) -> dict[str, dict[str, float]]:
    """Our rate beside bare Optuna's, by kind of database and number of workers."""
    result = {}
    with contextlib.ExitStack() as stack:
        databases = {"SQLite": lambda name: f"sqlite:///{base}/{name}.db"}
        server = stack.enter_context(postgres())
        if server is not None:
            databases["PostgreSQL"] = server
        for kind, url in databases.items():
            for workers in counts:
                found = []
                for turn in range(pairs):
                    tag = f"{workers}_{turn}"
                    theirs = bare_rate(url(f"bare_{tag}"), trials, workers)
                    found.append((our_rate(url(f"ours_{tag}"), trials, workers), theirs))
                result[_name(kind, workers)] = told(_name(kind, workers), medians(found))
    return result


def told(name: str, found: dict[str, float]) -> dict[str, float]:
    """The same, said at once: a run takes its time."""
    print(
        f"{name:<32} {found['ours']:7.1f} trials/s, Optuna alone {found['optuna']:7.1f}, "
        f"ratio {found['ratio']:.2f}",
        file=sys.stderr,
        flush=True,
    )
    return found


def medians(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Of our rates, of Optuna's, and of their ratios."""
    return {
        "ours": statistics.median(ours for ours, _ in pairs),
        "optuna": statistics.median(theirs for _, theirs in pairs),
        "ratio": statistics.median(ours / theirs for ours, theirs in pairs),
    }


def _name(kind: str, workers: int) -> str:
    return f"{kind}, {workers} worker{'s' * (workers > 1)}"


class OnRay:
    """One actor: begins when all are ready, and tells when its first and last trial were."""

    def ready(self) -> None:
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.logging.set_verbosity(optuna.logging.ERROR)

    def ours(self, url: str, trials: int) -> None:
        optimize_problem(
            Trivial(), trials=trials, storage=url, options=SearchOptions(population=POPULATION)
        )

    def optuna(self, url: str, trials: int) -> None:
        storage = Storage(url)
        sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=0)
        study = optuna.load_study(study_name="bare", storage=storage.optuna, sampler=sampler)
        for _ in range(trials):
            ask_and_tell(study)
        storage.close()


def ray_rates(trials: int, counts: Sequence[int], pairs: int) -> dict[str, dict[str, float]]:
    """The same with actors; from the moment at which all are ready."""
    from greenfront.search.ray.driver import connected

    result = {}
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres())
        ray = stack.enter_context(connected(None)).ray
        if url is None:
            return {}
        for workers in counts:
            make = ray.remote(OnRay).options(num_cpus=0)
            actors = [make.remote() for _ in range(workers)]
            ray.get([actor.ready.remote() for actor in actors])
            found = []
            for turn in range(pairs):
                bare, ours = url(f"bare_{workers}_{turn}"), url(f"ours_{workers}_{turn}")
                storage = Storage(bare)
                optuna.create_study(
                    study_name="bare", storage=storage.optuna, directions=DIRECTIONS
                )
                storage.close()
                Storage(ours).close()  # as theirs, its tables are made before its clock begins
                each = trials // workers
                began = time.perf_counter()
                ray.get([actor.optuna.remote(bare, each) for actor in actors])
                theirs = each * workers / (time.perf_counter() - began)
                began = time.perf_counter()
                ray.get([actor.ours.remote(ours, trials) for actor in actors])
                found.append((trials / (time.perf_counter() - began), theirs))
            name = _name("Ray on PostgreSQL", workers)
            result[name] = told(name, medians(found))
            for actor in actors:
                ray.kill(actor)
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
    parser.add_argument("--quick", action="store_true", help="one pair of 40 trials each")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--workers", type=int, nargs="+", default=ALL_WORKERS)
    parser.add_argument("--ray", action="store_true", help="with a Ray cluster, too")
    parser.add_argument("--json", action="store_true", help="progress goes to stderr anyway")
    arguments = parser.parse_args()
    trials, pairs = (40, 1) if arguments.quick else (arguments.trials, RATES)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="greenfront-rate-") as name:
        result = rates(Path(name), trials, arguments.workers, pairs)
    if arguments.ray:
        result |= ray_rates(trials, arguments.workers, pairs)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

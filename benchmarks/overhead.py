"""What greenfront adds to a trial: bare Optuna NSGA-II against ours, on the same kind of database.

Both sides search the same six knobs and three trivial objectives, in turns, each on an SQLite file
of its own with the same settings. Ours claims, meters a window, writes the ledger, records the
outcome and keeps its archive; bare Optuna only asks and tells. The second figure is the price of
one metered window alone: two snapshots and a reading.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import optuna
from scale import KNOBS, Trivial

from greenfront import Evaluation, PlainChoice
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.metering.stopwatch import Stopwatch
from greenfront.search.optimize import SearchOptions, optimize_problem
from greenfront.studies.store.storage import Storage

INSTRUMENTS = detect()


class Metered(Trivial):
    """Costs nothing but meters itself."""

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        stopwatch, began = Stopwatch(INSTRUMENTS, os.getpid()), time.time()
        context.charge("train", stopwatch.lap(), began, time.time())
        return super().evaluate(candidate, context)


def bare(url: str, trials: int) -> float:
    """CPU and wall milliseconds a trial of Optuna alone."""
    storage = Storage(url)  # the same SQLite settings as ours
    study = optuna.create_study(
        storage=storage.optuna,
        directions=["maximize", "minimize", "minimize"],
        sampler=optuna.samplers.NSGAIISampler(population_size=50, seed=0),
    )
    began = time.perf_counter()
    for _ in range(trials):
        trial = study.ask()
        x = [trial.suggest_float(f"x{index}", 0, 1) for index in range(KNOBS)]
        study.tell(trial, (x[0], sum(x[1:3]), sum(x[3:])))
    seconds = time.perf_counter() - began
    storage.close()
    return 1000 * seconds / trials


def ours(url: str, trials: int) -> float:
    """Wall milliseconds a trial of ours, metered and with its ledger."""
    began = time.perf_counter()
    optimize_problem(
        Metered(),
        trials=trials,
        storage=url,
        options=SearchOptions(population=50, instruments=INSTRUMENTS),
    )
    return 1000 * (time.perf_counter() - began) / trials


def window() -> float:
    """Milliseconds of one metered window."""
    began = time.perf_counter()
    stopwatch = Stopwatch(INSTRUMENTS, os.getpid())
    stopwatch.lap()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer trials and repeats")
    parser.add_argument("--json", action="store_true", help="only the last line")
    arguments = parser.parse_args()
    trials, repeats = (60, 3) if arguments.quick else (200, 5)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    bare_ms, ours_ms = [], []
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(repeats):
            bare_ms.append(bare(f"sqlite:///{Path(folder)}/bare{repeat}.db", trials))
            ours_ms.append(ours(f"sqlite:///{Path(folder)}/ours{repeat}.db", trials))
    windows = [window() for _ in range(1000)]
    result = {
        "trials": trials,
        "repeats": repeats,
        "bare_optuna_ms_per_trial": statistics.median(bare_ms),
        "greenfront_ms_per_trial": statistics.median(ours_ms),
        "added_ms_per_trial": statistics.median(
            mine - theirs for mine, theirs in zip(ours_ms, bare_ms, strict=True)
        ),
        "ratio": statistics.median(
            mine / theirs for mine, theirs in zip(ours_ms, bare_ms, strict=True)
        ),
        "window_ms": statistics.median(windows),
    }
    if not arguments.json:
        for name, value in result.items():
            print(f"{name:28} {value:.3f}" if isinstance(value, float) else f"{name:28} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

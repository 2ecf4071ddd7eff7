"""A study of 3,000 finished trials: what each command takes to show it, and what making it takes.

The study begins as a real one: ``greenfront run`` tries a network on digits. Then the engine itself
goes on with it, by the same sampler, claims and ledger; only the evaluation is replaced by made-up
measurements of the candidate, charged in as many windows as a real trial has. So rows and sizes are
those of a real search. Its front is measured three times.

Each command runs in its own process: wall seconds from its start to its end, peak memory of the
process itself. ``resume`` is timed until its first new trial is claimed, less the same time of a
copy of the study that holds only its first trial: that is the start-up of the evaluator. Beside
them stands Optuna's ``best_trials`` on the same file.

The controller's cost a trial is the CPU time of the whole process from one evaluation's begin to
the next one's; its rate beside bare Optuna's is taken with trivial evaluations, in turns, on one
kind of database.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
from scale import rates

from greenfront import Evaluation
from greenfront.errors import TrialFailed, TrialStopped
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.outcome import Outcome, Repeat
from greenfront.objectives.readings import Reading
from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.optimize import search_study
from greenfront.search.settings import SearchSettings
from greenfront.spaces.candidate import Candidate
from greenfront.studies.analysis.view import view
from greenfront.studies.config.budget import Budget
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

STUDY = """
[study]
name = "large"
storage = "sqlite:///large.db"
seed = 7
[task]
kind = "digits"
[space]
architectures = ["mlp", "cnn"]
pruning = [0.0, 0.8]
bits = [32, 16, 8, 4]
temperature = [1.0, 8.0]
[training]
epochs = 2
fine_tune_epochs = 1
[search]
population = 50
stop_below = 0
[budget]
trials = 1
"""

WINDOWS = {"size": 2, "train": 8, "prune": 1, "fine-tune": 2, "export": 2, "inference": 6}
"""Metered windows of a trial by phase; each leaves an entry for each component."""

BARS = {
    "front": 3.0,
    "studies": 1.0,
    "ledger": 3.0,
    "report": 10.0,
    "resume": 5.0,
    "memory_mb": 400.0,
    "report_mb": 15.0,
    "growth": 1.5,
    "rate": 0.8,
}
LAUNCHER = """
import os, sys, time
began = time.perf_counter()
child = os.fork()
if not child:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A process starts with the peak memory of the one that forks it, so a small one does."""

"""Turns of ours and bare Optuna's; the median ratio counts."""


class MadeUp(NetworkProblem):
    """Measurements by formula, with their scatter, for the candidates of a real space.

    Attributes:
        begun: Wall and CPU seconds of this process when each evaluation began.
    """

    begun: list[tuple[float, float]]

    def evaluate(self, candidate: Candidate, context: TrialContext) -> Evaluation:
        self.begun.append((time.perf_counter(), time.process_time()))
        draw = random.Random(candidate.key)
        outcome = made_up(candidate, draw)
        now = time.time()
        for phase, windows in WINDOWS.items():
            reading = outcome.phases.get(phase, outcome.inference)
            for _ in range(windows):
                parts = {"cpu": reading, "dram": scaled(reading, 0.1)}
                context.charge(phase, parts, now, now)
        if draw.random() < 0.05:
            raise TrialStopped("dominated already at the accuracy ceiling")
        if draw.random() < 0.03:
            cause = draw.choice(["diverged", "out of memory", "timed out"])
            raise TrialFailed(cause, "the evaluator was ended")
        values = self._scoring.values(outcome)
        assert values is not None
        return Evaluation(values, 0.0, detail=to_json(outcome))


def scaled(reading: Reading, by: float) -> Reading:
    joules = reading.joules or 0.0
    low, high = joules * by / 2, joules * by * 2
    return dataclasses.replace(reading, joules=joules * by, low_joules=low, high_joules=high)


def made_up(candidate: Candidate, draw: random.Random) -> Outcome:
    """What a network of this shape might have come to."""
    kept = (1 - candidate.pruning.ratio) * draw.uniform(0.2, 1.0)
    bits = candidate.precision.bits
    joules = 1e-4 * kept * (0.5 + bits / 64) * draw.uniform(0.9, 1.1)

    def spent(j: float) -> Reading:
        source = "CPU seconds × 4.2 W per busy thread"
        return Reading(j, j / 2, 2 * j, "modelled", source, j / 4, j / 3, ("short window",))

    return Outcome(
        score=round(0.5 + 0.49 * (1 - draw.random() ** 4) * (kept + 0.05) ** 0.05, 4),
        phases={
            phase: spent(draw.uniform(1, 60))
            for phase in ("size", "train", "prune", "fine-tune", "export")
        },
        inference=spent(joules),
        latency_seconds=joules / 3,
        parameters=int(100_000 * kept),
        flops=int(1e7 * kept),
        artefact_bytes=int(400_000 * kept * bits / 32) + 5000,
        pruned_ratio=candidate.pruning.ratio,
        epochs=2,
        peak_memory_bytes=300_000_000,
        artefact=f"{candidate.key[:2]}/{candidate.key}.onnx",
        max_error=1e-6,
        agreement=1.0,
        inference_spread=0.03,
    )


def make(url: str, trials: int) -> dict[str, Any]:
    """Searches on until the study holds ``trials``; measures its front twice more.

    Returns:
        Seconds it took, rows of the ledger, and the controller's milliseconds a trial.
    """
    storage = Storage(url)
    study = Study.open(storage, "large")
    file = StudyFile.from_stored(study.configuration).changed(trials=trials)
    study.store_configuration(file.to_json())
    problem = MadeUp(file, from_json(StudyFacts, study.facts or {}), detect())
    problem.begun = []
    began = time.perf_counter()
    settings = SearchSettings(
        sampler=file.search.sampler,
        budget=Budget(trials=trials),
        seed=file.study.seed,
        population=file.search.population,
        carbon=file.carbon.study_model(problem.facts),
    )
    search_study(problem, study, settings)
    seconds = time.perf_counter() - began
    for row in view(storage, "large").front.rows:
        draw = random.Random(row.trial)
        for position in (1, 2):
            inference = scaled(row.outcome.inference, draw.gauss(1.0, 0.03))
            again = Repeat(row.score, inference, row.outcome.latency_seconds)
            study.repeats.add("made up", row.candidate.key, position, again)
    storage.close()
    early, late = ms_a_trial(problem.begun, 100), ms_a_trial(problem.begun, len(problem.begun))
    return {
        "seconds": seconds,
        "trials": trials,
        "ledger_rows": count(url, "greenfront_ledger"),
        "controller_ms": {"at 100 trials": early, f"at {trials} trials": late},
        "growth": late["cpu"] / early["cpu"],
    }


def ms_a_trial(begun: list[tuple[float, float]], at: int) -> dict[str, float]:
    """Medians over the hundred trials before ``at``."""
    part = begun[max(0, at - 100) : at]
    wall, cpu = (
        statistics.median(1000 * (b[i] - a[i]) for a, b in itertools.pairwise(part)) for i in (0, 1)
    )
    return {"wall": wall, "cpu": cpu}


def count(url: str, table: str) -> int:
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def ended(command: list[str], folder: Path) -> dict[str, float]:
    """Wall seconds and peak memory of a process, until it ends."""
    launched = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    wall, cpu, kilobytes = map(float, launched.stdout.split()[-3:])
    return {"seconds": wall, "cpu_seconds": cpu, "memory_mb": kilobytes / 1024}


def first_new_trial(folder: Path, database: str, trials: int) -> dict[str, float]:
    """The same of ``resume`` until it has claimed a trial more than ``trials``; ended then."""
    words = ("resume", "large", "--trials", str(trials + 1), "--storage", f"sqlite:///{database}")
    began = time.time()
    process = subprocess.Popen(
        [sys.executable, "-m", "greenfront", *words], cwd=folder, stdout=subprocess.DEVNULL
    )
    query = "SELECT started_at FROM greenfront_trials WHERE slot = ?"
    with contextlib.closing(sqlite3.connect(folder / database)) as connection:
        while (row := connection.execute(query, [trials]).fetchone()) is None:
            if process.poll() is not None:
                raise SystemExit(f"resume ended with {process.returncode} before a new trial")
            time.sleep(0.02)
    memory = Path(f"/proc/{process.pid}/status").read_text().split("VmHWM:")[1].split()[0]
    process.terminate()
    process.wait()
    return {"seconds": row[0] - began, "memory_mb": int(memory) / 1024}


def commands(folder: Path, trials: int) -> dict[str, dict[str, float]]:
    """What each command takes on the large study."""
    ours = [sys.executable, "-m", "greenfront"]
    where = ["--storage", "sqlite:///large.db"]
    result = {
        "front": ended([*ours, "front", "large", *where], folder),
        "studies": ended([*ours, "studies", *where], folder),
        "ledger": ended([*ours, "ledger", "large", *where], folder),
        "report": ended([*ours, "report", "large", "-o", "report.html", *where], folder),
    }
    result["report"]["megabytes"] = (folder / "report.html").stat().st_size / 1e6
    script = (
        "import optuna; optuna.logging.set_verbosity(40); "
        "optuna.load_study(study_name='large', storage='sqlite:///large.db').best_trials"
    )
    result["Optuna's best_trials"] = ended([sys.executable, "-c", script], folder)
    start_up = first_new_trial(folder, "begun.db", 1)
    result["resume"] = first_new_trial(folder, "large.db", trials)
    result["resume"]["start_up_seconds"] = start_up["seconds"]
    result["resume"]["seconds"] -= start_up["seconds"]
    return result


def over(result: dict[str, Any]) -> list[str]:
    """The bars that are not met."""
    told = result["commands"]
    found = {name: told[name]["seconds"] for name in BARS if name in told}
    found["memory_mb"] = max(told[name]["memory_mb"] for name in found)
    found["report_mb"] = told["report"]["megabytes"]
    found["growth"] = result["made"]["growth"]
    missed = [
        f"{name}: {found[name]:.2f} > {BARS[name]:g}" for name in found if found[name] > BARS[name]
    ]
    slow = {n: rate["ratio"] for n, rate in result["rates"].items() if rate["ratio"] < BARS["rate"]}
    return missed + [
        f"rate, {name}: {ratio:.2f} < {BARS['rate']:g}" for name, ratio in slow.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="300 trials instead of 3,000")
    parser.add_argument("--json", action="store_true", help="only the last line")
    parser.add_argument("--keep", type=Path, help="leave the study and its report here")
    arguments = parser.parse_args()
    trials = 300 if arguments.quick else 3000
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="greenfront-large-") as name:
        folder = Path(name) if arguments.keep is None else arguments.keep
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.toml").write_text(STUDY)
        ended([sys.executable, "-m", "greenfront", "run", "study.toml"], folder)
        shutil.copy(folder / "large.db", folder / "begun.db")
        result = {
            "made": make(f"sqlite:///{folder}/large.db", trials),
            "commands": commands(folder, trials),
            "rates": rates(Path(name), trials // 10),
        }
    result["over"] = over(result)
    if not arguments.json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()

"""What a decision of the racing sampler costs: CPU time as a search on a table grows.

One search on an LCBench task (a table, so that nothing but decisions takes time) is carried on to
so many candidates. Beside it Optuna's own NSGA-II asked for as many trials in memory. Means are
what a trial pays for in the end; most decisions take up a ranking that was made before, so medians
are far below them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path

import optuna
from efficiency_green import Simulation
from efficiency_ledger import Ledger
from efficiency_tables import LcBench

from greenfront.search.samplers.green.policy import GreenPolicy

CANDIDATES, QUICK_CANDIDATES = 3000, 200
TASK = "3945"
MARKS = (30, 100, 300, 1000, 3000)
"""Candidates begun up to which means are told."""


def green_seconds(table: LcBench, candidates: int) -> list[tuple[int, float]]:
    """Candidates begun and CPU seconds of each decision."""
    simulation = Simulation(table, Ledger(table.reference))
    policy = GreenPolicy(simulation.terrain(), 0)
    taken = []
    while len(simulation.states) < candidates:
        states = list(simulation.states.values())
        began = time.process_time()
        decision = policy.decide(states, len(taken))
        taken.append((len(states), time.process_time() - began))
        if decision is None:
            break
        simulation.train(decision.key, decision.point, decision.rung)
    return taken


def optuna_seconds(table: LcBench, trials: int) -> float:
    """CPU seconds a trial of NSGA-II in memory, answers told at once."""
    sampler = optuna.samplers.NSGAIISampler(seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    distributions, total = table.space.distributions(), 0.0
    for _ in range(trials):
        began = time.process_time()
        trial = study.ask(distributions)
        total += time.process_time() - began
        final = table.curve(trial.params)[-1].tolist()
        began = time.process_time()
        study.tell(trial, final)
        total += time.process_time() - began
    return total / trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_CANDIDATES} candidates")
    parser.add_argument("--json", action="store_true", help="only the last line")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    candidates = QUICK_CANDIDATES if arguments.quick else arguments.candidates
    table = LcBench(arguments.data, TASK)
    taken = green_seconds(table, candidates)
    optunas = optuna_seconds(table, candidates)
    result = {
        "candidates": candidates,
        "decisions": len(taken),
        "green_ms_a_decision_median": 1e3 * statistics.median(cpu for _, cpu in taken),
        "green_ms_a_candidate": 1e3 * sum(cpu for _, cpu in taken) / candidates,
        "optuna_ms_a_trial": 1e3 * optunas,
    }
    low = 0
    for mark in (mark for mark in MARKS if mark <= candidates):
        within = [cpu for begun, cpu in taken if low <= begun < mark]
        if within:
            result[f"green_ms_a_decision_{low}_to_{mark}"] = 1e3 * statistics.fmean(within)
        low = mark
    if not arguments.json:
        for name, value in result.items():
            print(f"{name.replace('_', ' ')}: {value:.3g}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

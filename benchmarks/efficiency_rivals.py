"""Rivals on a table: random, Optuna's samplers, and a multi-objective successive halving."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optuna
from efficiency_ledger import Ledger
from efficiency_tables import Table

from greenfront.objectives.pareto import ranks
from greenfront.spaces.knobs import Point, Value

__all__ = ["RIVALS", "search_halving", "search_optuna"]

SamplerOf = Callable[[int], optuna.samplers.BaseSampler]

RIVALS: dict[str, SamplerOf] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "NSGA-II 50": lambda seed: optuna.samplers.NSGAIISampler(population_size=50, seed=seed),
    "NSGA-II 20": lambda seed: optuna.samplers.NSGAIISampler(population_size=20, seed=seed),
    "TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
}


def search_optuna(
    table: Table,
    sampler: optuna.samplers.BaseSampler,
    ledger: Ledger,
    trials: int,
    target: float,
    free: bool = False,
) -> None:
    """Whole trainings as Optuna proposes them.

    Args:
        table: What is searched.
        sampler: Optuna's.
        ledger: Is charged.
        trials: Whole trainings at most, duplicates counted.
        target: Hypervolume at which it ends.
        free: Whether a candidate that was trained before costs nothing.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    seen: set[str] = set()
    for _ in range(trials):
        trial = study.ask(table.space.distributions())
        final, key = table.curve(trial.params)[-1], table.space.decode(trial.params).key
        if not (free and key in seen):
            ledger.charge(float(final[1]))
        if key not in seen:
            ledger.add(final)
        seen.add(key)
        study.tell(trial, final.tolist())
        if ledger.volume >= target:
            return


ETA, PARENTS, CROWD = 3, 20, 10


def search_halving(
    table: Table, seed: int, ledger: Ledger, budget: float, target: float, *, breeds: bool
) -> None:
    """MO-ASHA: promotions by non-dominated rank. New candidates are random, and no duplicates.

    Source: Schmucker et al., "Multi-objective asynchronous successive halving", 2021. With
    ``breeds``, new candidates are children of the highest populated rung instead, which is not
    part of it.
    """
    rng, top = np.random.default_rng([seed, 5]), len(table.epochs) - 1
    points: dict[str, Point] = {}
    rungs: list[list[str]] = [[] for _ in table.epochs]
    promoted: list[set[str]] = [set() for _ in table.epochs]

    def order(rung: int) -> list[str]:
        curves = [table.curve(points[key])[rung] for key in rungs[rung]]
        return [rungs[rung][i] for i in np.argsort(ranks(curves), kind="stable")]

    def train(key: str, rung: int) -> None:
        curve = table.curve(points[key])
        ledger.charge(float(curve[rung, 1] - (curve[rung - 1, 1] if rung else 0.0)))
        rungs[rung].append(key)
        if rung == top:
            ledger.add(curve[-1])

    def promotion(share: int) -> tuple[str, int] | None:
        for rung in range(top - 1, -1, -1):
            best = order(rung)[: len(rungs[rung]) // share] if rungs[rung] else []
            waiting = [key for key in best if key not in promoted[rung]]
            if waiting:
                return waiting[0], rung
        return None

    def child(parents: list[str]) -> dict[str, Value]:
        if not parents:
            return table.space.sample(rng)
        mother, father = (points[parents[int(i)]] for i in rng.integers(len(parents), size=2))
        point = {name: (mother if rng.random() < 0.5 else father)[name] for name in mother}
        for name in point:
            if rng.random() < 1 / len(point):
                point[name] = table.space.knob(name).near(point[name], rng)
        return point

    while ledger.spent < budget and ledger.volume < target:
        onward = promotion(ETA)
        fresh = None
        crowded = [rung for rung, keys in enumerate(rungs) if len(keys) >= CROWD]
        parents = order(max(crowded))[:PARENTS] if crowded and breeds and onward is None else []
        for attempt in range(200 if onward is None else 0):
            point = child(parents if attempt < 100 else [])
            if table.space.decode(point).key not in points:
                fresh = point
                break
        if onward is None and fresh is None:
            onward = promotion(1)  # the space is tried out: whoever is left goes on
            if onward is None:
                return
        if onward is not None:
            key, rung = onward
            promoted[rung].add(key)
            train(key, rung + 1)
        elif fresh is not None:
            key = table.space.decode(fresh).key
            points[key] = fresh
            train(key, 0)

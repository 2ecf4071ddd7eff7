"""What a search of the EC-NAS table needs that knows more than any can: how low a bar may lie.

All to 99 % of the hypervolume of the true front, in kWh, for each repeat of the table's trainings:

- bought: whole trainings alone are charged, of cells in the order of expected gain a kWh. What is
  believed of each cell beforehand, free of charge: its own final error; that of its other two
  repeats; what a Gaussian process says that has seen all trainings of all *other* cells, and of
  this one the rungs below some.
- racing: ``green`` as it is; with the first rung of all cells free; and with foresight: once a cell
  has finished some rung its final error is known exactly, and learnt from. Everything but what is
  called free is charged.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from efficiency_green import Simulation, search_green
from efficiency_ledger import Ledger
from efficiency_tables import EcNas
from numpy.typing import NDArray

from greenfront.objectives.pareto import hypervolume, non_dominated
from greenfront.search.samplers.green.beliefs import LEARNING, Beliefs, Outlook
from greenfront.search.samplers.green.curves import Series
from greenfront.search.samplers.green.encode import knob_vector
from greenfront.search.samplers.green.gain import free_boxes
from greenfront.search.samplers.green.model import Observations, Prior, condition, fit

Array = NDArray[np.float64]

SHARE = 0.99
BUDGET = 60.0
"""kWh at most."""
REPEATS = (1, 2, 3)
NODES = np.linspace(-2.5, 2.5, 41)
WEIGHTS = np.exp(-(NODES**2) / 2) / np.exp(-(NODES**2) / 2).sum()


def goal(table: EcNas) -> float:
    """The hypervolume that is to be reached."""
    return SHARE * hypervolume(table.finals, table.reference)


def cheapest(table: EcNas) -> float:
    """Energy of the cheapest cells of the true front that reach the goal together."""
    front = table.finals[non_dominated(table.finals)]
    wanted = goal(table)
    energies = [
        float(chosen[:, 1].sum())
        for size in range(1, len(front) + 1)
        for rows in combinations(range(len(front)), size)
        if hypervolume(chosen := front[list(rows)], table.reference) >= wanted
    ]
    return min(energies)


def bought(table: EcNas, mean: Array, deviation: Array) -> float:
    """Energy of whole trainings bought by expected gain a kWh, until the goal is reached.

    Args:
        table: Answers.
        mean: Logarithm of the final error that is believed of each cell.
        deviation: Standard deviation of that belief.
    """
    reference, wanted, spent = np.array(table.reference), goal(table), 0.0
    left, front = list(range(len(mean))), np.zeros((0, 2))
    while not len(front) or hypervolume(front, table.reference) < wanted:
        free = free_boxes(front, reference)

        def worth(cell: int, free: Any = free) -> float:
            losses, energy = np.exp(mean[cell] + deviation[cell] * NODES), table.finals[cell, 1]
            return float(free.gain(losses, np.array([[energy]]))[0] @ WEIGHTS / energy)

        best = max(left, key=worth)
        left.remove(best)
        front = np.concatenate([front, table.finals[[best]]])
        spent += float(table.finals[best, 1])
    return spent


def left_out(table: EcNas) -> Iterator[tuple[int, Array, Array]]:
    """For each rung, from -1 for none: what all other cells, and a cell's own rungs up to it, say.

    Yields:
        The rung, means and standard deviations of the logarithms of the final errors ``[cells]``.
    """
    points, rungs = table.points(), len(table.epochs)
    chosen = [points[key] for key in table.table]
    u = np.array([knob_vector(table.space, point) for point in chosen])
    x = np.array([table.describe(point, ()) for point in chosen])
    z = np.log(np.array([curve[:, 0] for curve in table.table.values()])).ravel()
    candidate, rung = np.repeat(np.arange(len(x)), rungs), np.tile(np.arange(rungs), len(x))
    effort = np.log(np.array(table.epochs))
    trend = -LEARNING * (effort - effort[0])
    seen, offset, unit = Series(x, u, candidate, rung, z, trend).standardised(clip=True)
    prior = Prior.of(x.shape[1], rungs)
    theta = fit(seen, prior)
    for known in range(-1, rungs - 1):
        mean, deviation = np.zeros(len(x)), np.zeros(len(x))
        for cell in range(len(x)):
            rows = np.flatnonzero((candidate != cell) | (rung <= known))
            who, which = np.unique(candidate[rows], return_inverse=True)
            others = Observations(x[who], u[who], which, rung[rows], seen.z[rows])
            means, covariance = condition(others, prior, theta).predict(
                x[[cell]], u[[cell]], [rungs - 1]
            )
            mean[cell] = means[0, 0] * unit + offset + trend[-1]
            deviation[cell] = unit * float(np.sqrt(max(covariance[0, 0, 0], 0.0)))
        yield known, mean, deviation


def raced(table: EcNas, seed: int, *, first_free: bool = False) -> float:
    """Energy of the racing sampler to the goal; with the first rungs of all cells free."""
    ledger = Ledger(table.reference)
    simulation = Simulation(table, ledger)
    if first_free:
        for key, point in table.points().items():
            simulation.train(key, point, 0)
        ledger.spent = 0.0
    wanted = goal(table)
    search_green(simulation, seed, BUDGET, wanted)
    return ledger.energy_to(wanted)


@contextmanager
def foresight(table: EcNas, rung: int) -> Iterator[None]:
    """From a rung on the final error is what is measured, and what is believed without a doubt."""
    finals = {key: float(curve[-1, 0]) for key, curve in table.table.items()}
    believed = Beliefs.outlook

    def foreseen(self: Beliefs, prospects: Any, *, next_only: bool = False) -> Outlook:
        outlook = believed(self, prospects, next_only=next_only)
        mean, variance = outlook.mean.copy(), outlook.variance.copy()
        revealed = outlook.revealed.copy()
        revealed[:, rung:] = np.maximum(revealed[:, rung:], 0.9995)
        for row, prospect in enumerate(prospects):
            if prospect.done >= rung:
                mean[row] = self.scales[0].forward(np.array(finals[prospect.key]))
                variance[row] = 1e-8
        return replace(outlook, mean=mean, variance=variance, revealed=revealed)

    measured = {key: curve.copy() for key, curve in table.table.items()}
    for curve in table.table.values():
        curve[rung:, 0] = curve[-1, 0]
    try:
        with patch.object(Beliefs, "outlook", foreseen):
            yield
    finally:
        table.table = measured


def racing(table: EcNas, seeds: int) -> Iterator[tuple[str, list[float]]]:
    """Energies of the racing sampler: as it is, with free first rungs, with foresight."""
    for name, free in (("as it is", False), ("first rungs free", True)):
        yield name, [raced(table, seed, first_free=free) for seed in range(seeds)]
    for rung, epochs in enumerate(table.epochs[:-1]):
        with foresight(table, rung):
            energies = [raced(table, seed) for seed in range(seeds)]
        yield f"foresight after {epochs} epochs", energies


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--seeds", type=int, default=20, help="of what races; 0: nothing does")
    arguments = parser.parse_args()
    tables = {repeat: EcNas(arguments.data, repeat) for repeat in REPEATS}
    logs = {repeat: np.log(table.finals[:, 0]) for repeat, table in tables.items()}
    for repeat, table in tables.items():
        sure = np.zeros(len(table.finals))

        def show(name: str, energy: float, repeat: int = repeat) -> None:
            print(f"repeat {repeat} · {name:64} {energy:6.2f} kWh", flush=True)

        show("the cheapest cells of the true front", cheapest(table))
        show("bought: own final error known", bought(table, logs[repeat], sure))
        others = np.mean([logs[other] for other in REPEATS if other != repeat], axis=0)
        show("bought: final errors of the other two repeats known", bought(table, others, sure))
        for rung, mean, deviation in left_out(table):
            own = (
                f"own rungs up to {table.epochs[rung]} epochs"
                if rung >= 0
                else "nothing of its own"
            )
            show(f"bought: all other cells and {own} known", bought(table, mean, deviation))
        for name, energies in racing(table, arguments.seeds) if arguments.seeds else ():
            low, middle, high = np.percentile(energies, [25, 50, 75])
            show(f"racing: {name} [{low:.2f}, {high:.2f}]", middle)


if __name__ == "__main__":
    main()

"""What stopping hopeless trainings saves, and how often it is wrong, on published curves.

LCBench's 52 epochs (see ``efficiency_tables.py``), random candidates in a row, as a search without
rungs would train them; seconds of training stand for energy. A stop is wrong if the candidate,
trained to its end, would have been on the front of all candidates.

    python benchmarks/hopeless.py --data DIR [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from efficiency_tables import LCBENCH, LcBench

from greenfront.objectives.learning_curve import LearningCurve, least_error, pace
from greenfront.objectives.pareto import hypervolume, non_dominated

EPOCHS, TRIALS = 52, 56


@dataclass(frozen=True)
class Result:
    """Of one task, over its seeds.

    Attributes:
        saved: Share of the search's energy that stopping saves, the median.
        stopped: Share of the trainings that were stopped, the mean.
        wrong: Share of all trainings that were stopped and would have been on the front.
        broken: Share of all trainings that ended better than the bound that stopped them.
        kept: Hypervolume with stopping to that without, the least of all seeds.
    """

    task: str
    saved: float
    stopped: float
    wrong: float
    broken: float
    kept: float


def searched(table: LcBench, seed: int) -> tuple[float, float, float, float, float]:
    """One search: energy saved, share stopped, share wrong, share broken, hypervolume kept."""
    random = np.random.default_rng(seed)
    curves = np.array([table.curve(table.space.sample(random)) for _ in range(TRIALS)])
    best = np.minimum.accumulate(curves[:, :, 0], axis=1)
    whole = np.column_stack([best[:, -1], curves[:, -1, 1]])
    paces: list[float] = []
    kept: list[int] = []
    spent, broken = 0.0, 0
    stopped = np.zeros(TRIALS, dtype=np.bool_)
    for trial, curve in enumerate(curves):
        qualities = tuple(1 - curve[:, 0] / 100)
        end = EPOCHS
        for epoch in range(1, EPOCHS):
            bound = least_error(LearningCurve(qualities[:epoch], EPOCHS), paces)
            if bound is None:
                continue
            hoped = np.array([100 * bound, curve[epoch - 1, 1]])
            front = whole[kept]
            if ((front <= hoped).all(axis=1) & (front < hoped).any(axis=1)).any():
                end, stopped[trial] = epoch, True
                broken += bool(whole[trial, 0] < 100 * bound)
                break
        spent += float(curve[end - 1, 1])
        if not stopped[trial]:
            kept.append(trial)
            paces.append(pace(LearningCurve(qualities, EPOCHS), whole[trial, 0] / 100))
    on_front = non_dominated(whole)
    reference = np.array(table.reference)
    volume = hypervolume(whole[kept], reference) / hypervolume(whole, reference)
    return (
        1 - spent / float(whole[:, 1].sum()),
        float(stopped.mean()),
        float((stopped & on_front).mean()),
        broken / TRIALS,
        float(volume),
    )


def main() -> None:
    """Prints a line a task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="two tasks, three seeds")
    parser.add_argument("--json", action="store_true", help="one object in the last line")
    options = parser.parse_args()
    tasks, seeds = (LCBENCH[:2], 3) if options.quick else (LCBENCH, 20)
    results = []
    for task in tasks:
        table = LcBench(options.data, task, epochs=tuple(range(1, EPOCHS + 1)))
        runs = np.array([searched(table, seed) for seed in range(seeds)])
        saved, (stopped, wrong, broken) = np.median(runs[:, 0]), runs[:, 1:4].mean(axis=0)
        results.append(Result(task, *map(float, (saved, stopped, wrong, broken)), runs[:, 4].min()))
        print(
            f"{task:>7}: {saved:.0%} of the energy saved, {stopped:.0%} of the trainings stopped, "
            f"{wrong:.2%} wrongly, bound broken by {broken:.2%}, hypervolume at least "
            f"{runs[:, 4].min():.4f} of that without"
        )
    if options.json:
        print(json.dumps({"tasks": [asdict(result) for result in results]}))


if __name__ == "__main__":
    main()

"""How much energy a search spends on the same front, on tables of published trainings.

Everything is charged: every rung, every whole training, duplicates (but where a rival's are free).
Only whole trainings enter a front. Two kinds of tables:

- EC-NAS-Bench with 4 vertices, real kWh: energy to 90, 95 and 99 % of the hypervolume of the true
  front.
- LCBench, seven tasks, in mean whole trainings: energy to 90, 95, 99 and 100 % of the *level*, the
  median hypervolume of Optuna's NSGA-II after 200 whole trainings. No setting is changed between
  tasks; those that the sampler was tuned on are ``TUNED``.

Seeds are paired: each number is the median over all of them and the quartiles; a search that never
got there counts as never. ``--only`` takes words: what is run has one of them in "table method".
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import optuna
from efficiency_green import Simulation, search_green
from efficiency_ledger import Ledger
from efficiency_primo import INSTALLED, search_primo
from efficiency_rivals import RIVALS, search_halving, search_optuna
from efficiency_tables import LCBENCH, EcNas, LcBench, Table

from greenfront.objectives.pareto import hypervolume

SEEDS = 20
TUNED = LCBENCH[:3]
LEVEL_RIVAL, LEVEL_TRIALS = "NSGA-II 50", 200
SHARES = {"ec-nas": (0.9, 0.95, 0.99), "lcbench": (0.9, 0.95, 0.99, 1.0)}
EC_NAS_TRIALS, EC_NAS_KWH = 300, 60.0
TRAININGS = 60.0
"""Whole trainings that racing searches may spend on LCBench."""
WITHIN = 24.0
OURS, HALVING, PRIMO = "green", ("MO-ASHA", "MO-ASHA that breeds"), "PriMO"
BARS = {
    "ec-nas, to 99 %, beside the best rival": 0.45,
    "lcbench, whole trainings to the level, median over tasks": 10.0,
    "lcbench, seeds within 24": 0.95,
    "lcbench, seeds within 24, worst task": 0.85,
}


@dataclass(frozen=True)
class Outcome:
    """One method on one table.

    Attributes:
        table: Its name.
        method: Its name.
        energy: For each share, the energy of each seed; ``None``: never.
        milliseconds: CPU time of the controller for each decision, median; ours alone.
    """

    table: str
    method: str
    energy: dict[str, list[float | None]]
    milliseconds: float | None = None

    def quartiles(self, share: str) -> tuple[float, float, float]:
        """Lower quartile, median, upper quartile; infinite for never."""
        values = sorted(np.inf if each is None else each for each in self.energy[share])
        low, middle, high = (
            values[min(int(q * len(values)), len(values) - 1)] for q in (0.25, 0.5, 0.75)
        )
        if len(values) % 2 == 0:
            middle = (values[len(values) // 2 - 1] + values[len(values) // 2]) / 2
        return low, middle, high

    def within(self) -> float:
        """Share of the seeds that got to the level within ``WITHIN``."""
        reached = [each is not None and each <= WITHIN for each in self.energy["100%"]]
        return sum(reached) / len(reached)

    def line(self) -> str:
        cells = []
        for share, each in self.energy.items():
            low, middle, high = (
                f"{q:.2f}" if q < np.inf else "never" for q in self.quartiles(share)
            )
            never = sum(one is None for one in each)
            cells.append(f"{share}: {middle} [{low}, {high}]" + f" never {never}" * bool(never))
        if "100%" in self.energy:
            cells.append(f"within {WITHIN:.0f}: {self.within():.0%}")
        cpu = "" if self.milliseconds is None else f" · {self.milliseconds:.0f} CPU-ms a decision"
        return f"{self.table:15} {self.method:22} " + " · ".join(cells) + cpu


def run(table: Table, method: str, volume: float, seeds: int) -> Outcome:
    """One method with every seed, to the shares of a hypervolume."""
    exact = table.name.startswith("ec-nas")
    shares = SHARES["ec-nas" if exact else "lcbench"]
    target, budget = shares[-1] * volume, EC_NAS_KWH if exact else TRAININGS
    energy: dict[str, list[float | None]] = {f"{share:.0%}": [] for share in shares}
    milliseconds = []
    for seed in range(seeds):
        ledger = Ledger(table.reference)
        if method == OURS:
            milliseconds.append(search_green(Simulation(table, ledger), seed, budget, target))
        elif method in HALVING:
            breeds = method == HALVING[1]
            search_halving(table, seed, ledger, budget, target, breeds=breeds)
        elif method == PRIMO and isinstance(table, EcNas):
            search_primo(table, seed, ledger, target)
        else:
            name, _, free = method.partition(",")
            trials = EC_NAS_TRIALS if exact else LEVEL_TRIALS
            search_optuna(table, RIVALS[name](seed), ledger, trials, target, bool(free))
        for share in shares:
            spent = ledger.energy_to(share * volume)
            energy[f"{share:.0%}"].append(spent if spent < np.inf else None)
    cpu = statistics.median(milliseconds) if milliseconds else None
    return Outcome(table.name, method, energy, cpu)


def level(table: Table, seeds: int) -> float:
    """Median hypervolume of NSGA-II after 200 whole trainings."""
    volumes = []
    for seed in range(seeds):
        ledger = Ledger(table.reference)
        search_optuna(table, RIVALS[LEVEL_RIVAL](seed), ledger, LEVEL_TRIALS, np.inf)
        volumes.append(ledger.volume)
    return statistics.median(volumes)


def verdicts(outcomes: list[Outcome]) -> dict[str, float | None]:
    """What the bars are about, as far as it was run."""
    found: dict[str, float | None] = dict.fromkeys(BARS)
    on_cells = {o.method: o.quartiles("99%")[1] for o in outcomes if o.table.startswith("ec-nas")}
    rivals = [energy for name, energy in on_cells.items() if name != OURS]
    cells, worst, medians = list(BARS), [], []
    if OURS in on_cells and rivals and min(rivals) < np.inf:
        found[cells[0]] = on_cells[OURS] / min(rivals)
    for outcome in outcomes:
        if outcome.method == OURS and outcome.table.startswith("lcbench"):
            medians.append(outcome.quartiles("100%")[1])
            worst.append(outcome.within())
    if medians:
        found[cells[1]] = statistics.median(medians)
        found[cells[2]] = statistics.fmean(worst)
        found[cells[3]] = min(worst)
    return found


def met(bar: str, value: float) -> bool:
    """Shares of seeds have to be above their bar, energies below."""
    return value >= BARS[bar] if "seeds" in bar else value <= BARS[bar]


def main() -> None:
    summary = __doc__.splitlines()[0] if __doc__ else None
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--data", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", nargs="+", default=[""], help='words of "table method"')
    parser.add_argument("--quick", action="store_true", help="3 seeds, EC-NAS and one task")
    parser.add_argument("--json", action="store_true", help="only the last line")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seeds = 3 if arguments.quick else arguments.seeds
    outcomes, levels = [], {}
    names = ["ec-nas-4v", *(f"lcbench-{t}" for t in (LCBENCH[:1] if arguments.quick else LCBENCH))]
    began = time.process_time()
    for name in names:
        lazily: Table | None = None
        for method in methods_of(name):
            if not any(word in f"{name} {method}" for word in arguments.only):
                continue
            if lazily is None:
                lazily = table_of(name, arguments.data)
                levels[name] = volume_of(lazily, max(seeds, SEEDS))
            outcomes.append(run(lazily, method, levels[name], seeds))
            if not arguments.json:
                print(outcomes[-1].line(), flush=True)
    found = verdicts(outcomes)
    if not arguments.json:
        for bar, value in found.items():
            if value is not None:
                print(
                    f"{bar}: {value:.2f}; bar {BARS[bar]}", "met" if met(bar, value) else "MISSED"
                )
    result = {
        "seeds": seeds,
        "hypervolume": levels,
        "cpu_seconds": time.process_time() - began,
        "verdicts": found,
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }
    print(json.dumps(result))


def table_of(name: str, data: Path) -> Table:
    """A table by its name."""
    return EcNas(data) if name.startswith("ec-nas") else LcBench(data, name.split("-")[1])


def methods_of(name: str) -> list[str]:
    """By name; where duplicates happen each of Optuna's runs also with them free."""
    free = [f"{rival}, repeats free" for rival in RIVALS] if name.startswith("ec-nas") else []
    optional = [PRIMO] * (INSTALLED and name.startswith("ec-nas"))
    return [*RIVALS, *free, *HALVING, *optional, OURS]


def volume_of(table: Table, seeds: int) -> float:
    """The hypervolume that shares are of."""
    if isinstance(table, EcNas):
        return hypervolume(table.finals, table.reference)
    return level(table, seeds)


if __name__ == "__main__":
    main()

"""What a search saves that begins with the front of an earlier one of the same data.

For each seed three studies of digits (MLPs, 4 to 12 epochs), each with a cache of its own, so that
nothing trained is shared: an earlier one by random search, one that begins cold, and one that
begins warm. Told is the energy until each has the hypervolume of the cold one's end, or 99 % of it.

    python benchmarks/warm_start.py [--trials 24] [--seeds 3] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from greenfront.search.session import open_session
from greenfront.studies.analysis.history.progress import ProgressPoint
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage

LEVELS = (0.99, 1.0)


@dataclass(frozen=True)
class Pair:
    """One seed.

    Attributes:
        cold_kwh: Energy in all of the cold study.
        cold: Energy until it had each of :data:`LEVELS` of its last hypervolume.
        warm: Energy until the warm one had as much; ``None``: never.
        gain: Last hypervolume of the warm one over that of the cold one.
    """

    seed: int
    cold_kwh: float
    cold: tuple[float | None, ...]
    warm: tuple[float | None, ...]
    gain: float


def study(name: str, seed: int, trials: int, search: dict[str, Any]) -> StudyFile:
    """A study of digits with a cache of its own."""
    return StudyFile.from_stored(
        {
            "study": {"name": name, "seed": seed, "cache": f"cache-{name}"},
            "task": {"kind": "digits"},
            "space": {"architectures": ["mlp"], "references": False},
            "training": {"epochs": [4, 12]},
            "search": {"stop_below": 0.0, **search},
            "metering": {"block_seconds": 0.02},
            "budget": {"trials": trials},
        }
    )


def reached(curve: Sequence[ProgressPoint], volume: float) -> float | None:
    """Energy until a hypervolume was there."""
    return next((p.kwh_spent for p in curve if (p.hypervolume or 0.0) >= volume), None)


def pair(seed: int, trials: int) -> Pair:
    """Runs the three studies of a seed."""
    curves = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        storage = Storage("sqlite:///greenfront.db")
        with contextlib.closing(storage):
            for name, search in (
                ("earlier", {"sampler": "random"}),
                ("cold", {}),
                ("warm", {"warm_start": "earlier"}),
            ):
                with open_session(study(name, seed, trials, search), new_in=storage) as session:
                    curves[name] = session.search(storage).curve
    cold, warm = curves["cold"], curves["warm"]
    last = cold[-1].hypervolume or 0.0
    return Pair(
        seed,
        cold[-1].kwh_spent,
        tuple(reached(cold, level * last) for level in LEVELS),
        tuple(reached(warm, level * last) for level in LEVELS),
        (warm[-1].hypervolume or 0.0) / last,
    )


def main() -> None:
    """Prints a line a seed, and the median ratio of each level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one seed, nine trials")
    parser.add_argument("--json", action="store_true", help="one object in the last line")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds, trials = (1, 9) if options.quick else (options.seeds, options.trials)
    pairs = []
    for seed in range(seeds):
        found = pair(seed, trials)
        pairs.append(found)
        told = ", ".join(
            f"{level:.0%}: {1e6 * (cold or 0.0):.3g} → "
            + ("never" if warm is None else f"{1e6 * warm:.3g} mWh")
            for level, cold, warm in zip(LEVELS, found.cold, found.warm, strict=True)
        )
        print(f"seed {seed}: {told}; in the end {found.gain:.4f} of its hypervolume", flush=True)
    for index, level in enumerate(LEVELS):
        ratios = [
            float("inf") if (warm := each.warm[index]) is None else warm / (each.cold[index] or 1.0)
            for each in pairs
        ]
        print(f"{level:.0%}: median ratio {statistics.median(ratios):.2f} of {ratios}")
    if options.json:
        print(json.dumps({"pairs": [asdict(each) for each in pairs]}))


if __name__ == "__main__":
    main()

"""Does a busy machine change a price? One candidate, quiet and beside two busy neighbours.

Each measurement runs a whole trial (training, export, inference) with a lineage store of its own,
in turns: quiet, busy, quiet, busy … Neighbours are two processes that do arithmetic without end.
Prints the two medians and their ratio, for our energy, for wall time, and for what CodeCarbon says
of the same trials (machine mode, its default): of the CPU, and in all with its memory.

The control is the CPU time of a fixed convolution in this process, under the same neighbours: what
it moves by is the machine's doing (cores that share execution units, a host with other guests), and
no meter that goes by CPU time can be steadier than it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.codecarbon import offline_tracker
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.outcome import Outcome
from greenfront.search.networks.exploration import explore
from greenfront.spaces.network_space import baseline_candidates
from greenfront.studies.config.study_file import StudyFile

NEIGHBOURS = 2
BUSY = "x = 1\nwhile True: x = x * 3 % 1000003"


MEASURES = (
    "energy_kwh",
    "wall_seconds",
    "codecarbon_cpu_kwh",
    "codecarbon_kwh",
    "control_cpu_seconds",
)
CONTROL_PASSES = 200


def control_cpu_seconds() -> float:
    """CPU time of a fixed convolution on one thread."""
    import torch

    torch.set_num_threads(1)
    layer, images = torch.nn.Conv2d(8, 16, 3), torch.zeros(32, 8, 28, 28)
    with torch.no_grad():
        layer(images)
        began = time.process_time()
        for _ in range(CONTROL_PASSES):
            layer(images)
    return time.process_time() - began


def measure(busy: bool, epochs: int, tracker: Any) -> tuple[float, ...]:
    """One trial in all measures."""
    file = StudyFile.from_stored(
        {"task": {"kind": "mnist5k"}, "training": {"epochs": epochs, "device": "cpu"}}
    )
    neighbours = [
        subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(NEIGHBOURS if busy else 0)
    ]
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = explore(file, detect(), Path(folder))
            candidate = baseline_candidates(file.options(found.facts))[-1]
            tracker.start_task()
            began = time.perf_counter()
            outcome = found.evaluator.call(
                "trial", candidate.to_json(), TrialContext(), returns=Outcome
            )
            seconds = time.perf_counter() - began
            told = tracker.stop_task()
            found.evaluator.close(TrialContext())
        control = control_cpu_seconds()
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()
    values = file.scoring(found.facts).values(outcome)
    if values is None:
        raise SystemExit("no instrument here can tell the energy")
    return values[1], seconds, told.cpu_energy, told.energy_consumed, control


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer pairs and epochs")
    parser.add_argument("--json", action="store_true", help="only the last line")
    arguments = parser.parse_args()
    pairs, epochs = (3, 2) if arguments.quick else (7, 4)
    tracker = offline_tracker("machine")
    tracker.start_task()  # its first task takes seconds
    tracker.stop_task()
    found: dict[bool, list[tuple[float, ...]]] = {False: [], True: []}
    for _ in range(pairs):
        for busy in (False, True):
            found[busy].append(measure(busy, epochs, tracker))
    result: dict[str, float] = {"pairs": pairs}
    for part, name in enumerate(MEASURES):
        quiet, busied = ([pair[part] for pair in found[busy]] for busy in (False, True))
        ratios = [b / q for q, b in zip(quiet, busied, strict=True)]
        result[f"quiet_{name}"] = statistics.median(quiet)
        result[f"busy_{name}"] = statistics.median(busied)
        result[f"{name}_ratio"] = statistics.median(ratios)
        result[f"{name}_worst_ratio"] = max(ratios, key=lambda ratio: abs(ratio - 1))
    if not arguments.json:
        for name, value in result.items():
            print(f"{name:32} {value:.6g}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

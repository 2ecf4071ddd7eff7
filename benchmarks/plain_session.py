"""Does a session without options take what an exported folder credits, from raw input to label?

Studies of one trial, or of two and their ensemble, are exported by the commands that users type. A
process that imports onnxruntime and numpy alone then opens each file as everybody does and takes
raw examples to labels, in turns with the reference workload, which the folder knows, too. Printed
is its CPU time a prediction over what the folder credits (``plain_cost`` in ``claims.json``), at
the speed of then: 1 is what is credited, and within a tenth of it is the bar. Beside it, from the
export's own turns: what ``predict.py`` and a session without options take over what the study
counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from greenfront.objectives.codec import from_json
from greenfront.objectives.packaging.raw_data import RawData
from greenfront.objectives.packaging.reference_workload import reference_graph
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.candidate import Candidate

STUDY = """
[study]
name = "{name}"
[task]
{task}
[space]
architectures = {families}
references = false
[training]
epochs = 1
[objectives]
folds = 1
[budget]
trials = {trials}
"""

FORESTS = ("sklearn:extra_trees", "sklearn:hist_gradient_boosting")
NUMBERS = 'kind = "csv"\npath = "numbers.csv"\ntarget = "y"'

ALONE = """
import statistics, sys, time
import numpy as np
import onnxruntime

def opened(path, options):
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

quiet = onnxruntime.SessionOptions()
quiet.intra_op_num_threads = quiet.inter_op_num_threads = 1
model, reference = opened(sys.argv[1], None), opened(sys.argv[2], quiet)
raw = dict(np.load(sys.argv[3], allow_pickle=True))
count = len(next(iter(raw.values())))
rows = [{name: values[i : i + 1].copy() for name, values in raw.items()} for i in range(count)]
ones = [{"rows": np.ones((1, 128), dtype=np.float32)}] * 50

def calm():
    looks = 0
    while looks < 2:
        before = time.process_time()
        time.sleep(0.02)
        looks = looks + 1 if time.process_time() - before < 0.002 else 0

def seconds(session, feeds):
    calm()
    for feed in feeds[:20]:
        session.run(None, feed)
    began, calls = time.process_time(), 0
    while time.process_time() - began < 0.05:
        for feed in feeds:
            session.run(None, dict(feed))
        calls += len(feeds)
    return (time.process_time() - began) / calls

turns = [(seconds(model, rows), seconds(reference, ones)) for _ in range(11)]
print(*(statistics.median(each) for each in zip(*((m / r, r) for m, r in turns))))
"""
"""Prints CPU time of a prediction over that of a call of the fixed graph, and of such a call."""

EXPORTS, PROCESSES = 5, 2
"""Exports of each model, as the pace of a machine moves between two moments, and processes each."""

CASES = {
    "digits, mlp": ("digits", 'kind = "digits"', ("mlp",)),
    "table with categories, mlp": (
        "table",
        'kind = "csv"\npath = "table.csv"\ntarget = "y"',
        ("mlp",),
    ),
    "mnist5k, mlp": ("pixels", 'kind = "mnist5k"', ("mlp",)),
    "mnist5k, lenet": ("convolutions", 'kind = "mnist5k"', ("lenet",)),
    "numbers, 100 trees": ("forest", NUMBERS, FORESTS[:1]),
    "numbers, boosted trees": ("boosted", NUMBERS, FORESTS[1:]),
    "numbers, ensemble of both": ("ensemble", NUMBERS, FORESTS),
}
BAR = 0.1


def write_table(folder: Path) -> None:
    """Ten numbers and four categories, some cells missing."""
    random = np.random.default_rng(0)
    lines = [",".join([*(f"n{i}" for i in range(10)), *(f"c{i}" for i in range(4)), "y"])]
    for _ in range(600):
        numbers = [
            f"{value:.4f}" if random.random() > 0.05 else "" for value in random.normal(size=10)
        ]
        texts = [("red", "green", "blue", "")[int(random.integers(4))] for _ in range(4)]
        lines.append(",".join([*numbers, *texts, "ab"[int(random.integers(2))]]))
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_numbers(folder: Path) -> None:
    """Twelve numbers and three classes, which forests of two kinds err on differently."""
    random = np.random.default_rng(0)
    given = random.normal(size=(1500, 12))
    score = given[:, :6].sum(axis=1) + 2 * np.abs(given[:, 6]) + given[:, 7] * given[:, 8]
    score += random.normal(size=len(given))
    classes = np.digitize(score, np.quantile(score, (1 / 3, 2 / 3)))
    lines = [",".join([*(f"n{i}" for i in range(12)), "y"])]
    for row, index in zip(given, classes, strict=True):
        lines.append(",".join([*(f"{value:.4f}" for value in row), "abc"[index]]))
    (folder / "numbers.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def measured(case: str, folder: Path) -> dict[str, Any]:
    """One study, run and exported several times; fresh processes beside each one's claim."""
    name, task, families = CASES[case]
    file = folder / f"{name}.toml"
    told = STUDY.format(name=name, task=task, families=json.dumps(families), trials=len(families))
    file.write_text(told, encoding="utf-8")
    _greenfront(folder, "run", file.name)
    exports = [_exported(name, folder / f"{name}-{number}") for number in range(EXPORTS)]
    whole = {key: statistics.median(each[key] for each in exports) for key in exports[0]}
    return {**whole, "ratios": [each["ratio"] for each in exports]}


def _exported(name: str, out: Path) -> dict[str, float]:
    folder = out.parent
    _greenfront(folder, "export", name, "--most-accurate", "-o", out.name)
    claims = json.loads((out / "claims.json").read_text(encoding="utf-8"))
    if name == "ensemble" and "ensemble" not in claims["candidate"]:
        raise SystemExit("the ensemble was no better than each of its models: nothing to measure")
    raw, fixed = folder / f"{name}.npz", folder / "reference.onnx"
    _save_raw(claims, folder, raw)
    onnx.save(reference_graph(), fixed)
    command = [sys.executable, "-I", "-c", ALONE, *map(str, (out / "model.onnx", fixed, raw))]
    credited = claims["plain_cost"]["energy"]["cpu_seconds"] / claims["reference"]["cpu_seconds"]
    over, slower = [], []
    for _ in range(PROCESSES):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        took, reference = map(float, done.stdout.split())
        slower.append(reference / claims["reference"]["cpu_seconds"])
        over.append(took / credited)
    told = claims["parts"]
    return {
        "credited_uj": 1e6 * claims["plain_cost"]["energy"]["joules"],
        "ratio": statistics.median(over),
        "reference": statistics.median(slower),
        "counted_uj": 1e6 * (told["model"]["joules"] + told["preprocessing"]["joules"]),
        "own_over_counted": told["own_over_counted"]["value"],
        "plain_over_counted": told["over_counted"]["value"],
    }


def _greenfront(folder: Path, *words: str) -> None:
    command = [sys.executable, "-m", "greenfront", *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _save_raw(claims: dict[str, Any], folder: Path, path: Path) -> None:
    """Raw validation examples by the names of the file's inputs."""
    told = dict(claims["setting"]["task"])
    if told.get("path"):
        told["path"] = str(folder / told["path"])
    settings = from_json(TaskSettings, told)
    candidate, seed = Candidate.from_json(claims["candidate"]), claims["setting"]["seed"]
    data = RawData.read(settings, candidate, cache=folder / "data", seed=seed)
    feed = data.feed(data.rows("validation")[:256])
    np.savez(path, allow_pickle=True, **feed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one case alone")
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="CASE", help="these alone")
    parser.add_argument("--json", action="store_true", help="only the last line")
    arguments = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_table(folder)
        write_numbers(folder)
        for case in arguments.only or list(CASES)[: 1 if arguments.quick else None]:
            found[case] = told = measured(case, folder)
            if not arguments.json:
                each = ", ".join(f"{ratio:.2f}" for ratio in told["ratios"])
                sys.stdout.write(
                    f"{case:28s} credited {told['credited_uj']:6.1f} µJ; a fresh process "
                    f"{told['ratio']:.2f} times ({each}; reference {told['reference']:.2f}); over "
                    f"counted: predict.py {told['own_over_counted']:.2f}, no options "
                    f"{told['plain_over_counted']:.2f}\n"
                )
                sys.stdout.flush()
    within = [case for case, told in found.items() if abs(told["ratio"] - 1) <= BAR]
    sys.stdout.write(json.dumps({"cases": found, "within": within}) + "\n")


if __name__ == "__main__":
    main()

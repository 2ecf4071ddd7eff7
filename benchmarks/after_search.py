"""What is won on picked models after a search: cascades, bits by layer, and how they are run.

For each data set one search of default settings but for few trials and short trainings, then
``greenfront tune`` of its most accurate model. All is measured in turns with what it is compared
with: a cascade with the model of least energy among those that are at least as accurate, bits by
layer with 8 bits in all layers, ways to run a file with the usual one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DATA = ("digits", "mnist5k", "optdigits", "magic")
QUICK = ("digits",)
PICTURES = ("digits", "mnist5k")
TABLES = Path(__file__).parents[2] / "shared" / "benchdata" / "tabular"
TRIALS, QUICK_TRIALS = 16, 6


@dataclass(frozen=True)
class Won:
    """What the tuning of one data set's most accurate model brought.

    Attributes:
        data: Which.
        score: Of the picked model on validation.
        cascade: What of the best cascade was measured, see ``greenfront tune --json``; ``None``
            where none was expected to pay.
        bits: The same of bits by layer.
        runtime: Ratio of the recommended options, low and high end; ``None``: the usual ones.
        batched: Batch, ratio, low and high end of larger calls; ``None`` where they save nothing.
        remarks: In words.
    """

    data: str
    score: float
    cascade: dict[str, Any] | None
    bits: dict[str, Any] | None
    runtime: tuple[float, ...] | None
    batched: tuple[float, ...] | None
    remarks: list[str]


def study_file(data: str, tables: Path, trials: int) -> str:
    """A study of default settings but for short trainings."""
    task = f'kind = "{data}"'
    if data not in PICTURES:
        task = f'kind = "csv"\npath = "{tables / f"{data}.csv.gz"}"\ntarget = "class"'
    return (
        f'[study]\nname = "s"\nseed = 1\n[task]\n{task}\n[training]\nepochs = [8, 14]\n'
        "[objectives]\npredictions = 100_000_000\nrepeats = 2\n"
        f"[search]\nstop_below = 0\n[budget]\ntrials = {trials}\n"
    )


def greenfront(folder: Path, *words: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "greenfront", *words]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{words[0]} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return ended.stdout


def won(folder: Path, data: str, tables: Path, trials: int) -> Won:
    """Searches, or goes on with a search that lies in the folder, and tunes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(study_file(data, tables, trials))
    greenfront(folder, "run", "study.toml")
    front = json.loads(greenfront(folder, "front", "s", "--json"))
    picked = next(row for row in front["rows"] if row["trial"] == front["most_accurate"])
    told = json.loads(greenfront(folder, "tune", "s", "--most-accurate", "--json"))
    advice = told["runtime"]

    def best(part: str) -> dict[str, Any] | None:
        made = [each for each in told["made"] if each["part"] == part and each["derived"]]
        return min(made, key=lambda each: float(each["derived"]["ratio"]), default=None)

    def ratio(way: dict[str, Any] | None) -> tuple[float, ...]:
        return () if way is None else (way["ratio"], way["low"], way["high"])

    batched = advice["batched"]
    return Won(
        data=data,
        score=picked["score"],
        cascade=best("cascade"),
        bits=best("bits"),
        runtime=ratio(advice["best"]) or None,
        batched=None if batched is None else (batched["batch"], *ratio(batched)),
        remarks=told["remarks"],
    )


def shown(ratio: tuple[float, ...] | None) -> str:
    """A ratio with its interval."""
    if ratio is None:
        return "none"
    *batch, value, low, high = ratio
    size = f"{batch[0]:.0f} at a time: " if batch else ""
    return f"{size}{value:.2f} ({low:.2f} to {high:.2f})"


def made_text(made: dict[str, Any] | None) -> str:
    """What was made, beside what, and whether it stands."""
    if made is None:
        return "none"
    told = made["derived"]
    ratio = shown((told["ratio"], told["low"], told["high"]))
    verdict = "" if made["accepted"] else ", not taken"
    return f"{ratio} of trial {told['beside']}, score {told['gain']:+.4f}{verdict}"


def main() -> None:
    """Prints what was won on each data set, and one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="digits alone, few trials")
    parser.add_argument("--json", action="store_true", help="one JSON object, last line")
    parser.add_argument("--data", nargs="*", choices=DATA, help="instead of all")
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of the tables")
    parser.add_argument("--keep", type=Path, help="folder of the studies; a temporary one")
    options = parser.parse_args()
    data = options.data or (QUICK if options.quick else DATA)
    trials = QUICK_TRIALS if options.quick else TRIALS
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in data:
            found = won((options.keep or Path(scratch)) / name, name, options.tables, trials)
            results.append(found)
            print(f"{name}: most accurate model {found.score:.4f} on validation")
            print(f"  cascade         {made_text(found.cascade)}")
            print(f"  bits by layer   {made_text(found.bits)}")
            print(f"  options         {shown(found.runtime)}")
            print(f"  batch           {shown(found.batched)}")
            for remark in found.remarks:
                print(f"  {remark}")
    if options.json:
        print(json.dumps([asdict(found) for found in results]))


if __name__ == "__main__":
    main()

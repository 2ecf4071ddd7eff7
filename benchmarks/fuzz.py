"""Feeds damaged study files, tables, texts, images, traces, manifests and arguments to the product.

The tests that do so with some hundred inputs each are run here with as many as asked for. An input
fails that ends in a traceback, works for more than 5 CPU-seconds, or leaves a file behind where it
was refused. ``--quick`` tries 20 of each kind.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = (
    "tests/cli/test_mutated_commands.py",
    "tests/objectives/carbon/test_mutated_traces.py",
    "tests/objectives/tasks/test_mutated_data.py",
)


def counts(statistics: str) -> dict[str, tuple[int, int]]:
    """Passing and failing inputs of each test, from what hypothesis tells."""
    found: dict[str, tuple[int, int]] = {}
    name = ""
    for line in statistics.splitlines():
        test = re.search(r"::(test_mutated_\w+):$", line.strip())
        if test:
            name = test[1]
        if told := re.search(r"(\d+) passing, (\d+) failing", line):
            passed, failed = found.get(name, (0, 0))
            found[name] = (passed + int(told[1]), failed + int(told[2]))
    return found


def main() -> int:
    """Prints a line for each kind of input; exit code 1 where one has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=12_000, help="of each kind")
    parser.add_argument("--seed", type=int, help="of what is drawn; each run draws anew without")
    parser.add_argument("--quick", action="store_true", help="20 of each kind")
    parser.add_argument("--json", action="store_true", help="one object on the last line")
    given = parser.parse_args()
    examples = 20 if given.quick else given.examples
    began = time.monotonic()
    drawn = [] if given.seed is None else [f"--hypothesis-seed={given.seed}"]
    total: dict[str, tuple[int, int]] = {}
    sound = True
    for file in FILES:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--hypothesis-show-statistics", *drawn, file],
            cwd=ROOT,
            env=os.environ | {"GREENFRONT_MUTATIONS": str(examples)},
            capture_output=True,
            text=True,
        )
        sound = sound and done.returncode == 0
        if done.returncode:
            sys.stderr.write(done.stdout[-5000:])
        total |= counts(done.stdout)
    for name, (passed, failed) in total.items():
        print(f"{name.removeprefix('test_mutated_'):12} {passed:7,} {failed:4} failed")
    inputs = sum(sum(pair) for pair in total.values())
    minutes = (time.monotonic() - began) / 60
    print(f"{'all':12} {inputs:7,} in {minutes:.1f} min")
    if given.json:
        failing = sum(failed for _, failed in total.values())
        told = {"inputs": inputs, "failed": failing, "minutes": minutes, "kinds": len(total)}
        print(json.dumps(told))
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())

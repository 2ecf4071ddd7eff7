"""Does a session without options take what a study counts, from raw input to label?

Studies of one trial are exported by the commands that users type; beside each model the export
measures in turns, on one machine and in one run, a plain ONNX Runtime session from raw input, the
model alone as the search runs it, and what the file does around it. Printed is the first over the
sum of the others: 1 is what is credited, and within a tenth of it is the bar.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

STUDY = """
[study]
name = "{name}"
[task]
{task}
[space]
architectures = ["{family}"]
references = false
[training]
epochs = 1
[budget]
trials = 1
"""

TABLE = 'kind = "csv"\npath = "table.csv"\ntarget = "y"'

CASES = {
    "digits, mlp": ("digits", 'kind = "digits"', "mlp"),
    "table with categories, mlp": (
        "table",
        'kind = "csv"\npath = "table.csv"\ntarget = "y"',
        "mlp",
    ),
    "mnist5k, mlp": ("pixels", 'kind = "mnist5k"', "mlp"),
    "mnist5k, lenet": ("convolutions", 'kind = "mnist5k"', "lenet"),
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


def measured(case: str, folder: Path) -> dict[str, Any]:
    """One study, run and exported; its claim on the parts of a prediction, in µJ."""
    name, task, family = CASES[case]
    file = folder / f"{name}.toml"
    file.write_text(STUDY.format(name=name, task=task, family=family), encoding="utf-8")
    for words in (
        ["run", file.name],
        ["export", name, "--most-accurate", "-o", f"{name}-model"],
    ):
        command = [sys.executable, "-m", "greenfront", *words]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    claims = json.loads((folder / f"{name}-model" / "claims.json").read_text(encoding="utf-8"))
    parts = {part: 1e6 * told["joules"] for part, told in claims["parts"].items()}
    counted = parts["model"] + parts["preprocessing"]
    return {**parts, "ratio": parts["whole"] / counted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one case alone")
    parser.add_argument("--json", action="store_true", help="only the last line")
    arguments = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_table(folder)
        for case in list(CASES)[: 1 if arguments.quick else None]:
            found[case] = told = measured(case, folder)
            if not arguments.json:
                sys.stdout.write(
                    f"{case:28s} session {told['whole']:6.1f} µJ, model {told['model']:6.1f}, "
                    f"around it {told['preprocessing']:6.1f}: {told['ratio']:.2f} times\n"
                )
    within = [case for case, told in found.items() if abs(told["ratio"] - 1) <= BAR]
    sys.stdout.write(json.dumps({"cases": found, "within": within}) + "\n")


if __name__ == "__main__":
    main()

"""What only looks at a study, or supervises a search, imports no library that it has no use for."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

FIXTURE = Path(__file__).parents[1] / "fixtures" / "report" / "greenfront.db.gz"

LOOKS = """
import contextlib
import os
import sys
from greenfront.cli.app import main

HEAVY = {"torch", "plotly", "sklearn", "scipy", "pandas", "transformers", "optuna"}
HEAVY |= {"numpy", "onnx"}
LOOKS = (
    "--version", "--help", "doctor", "studies", "front digits", "ledger digits", "pick digits",
    "table digits", "whatif digits --predictions 5", "compare digits:0 digits:1",
)
for look in LOOKS:
    sys.argv[1:] = look.split()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        with contextlib.suppress(SystemExit):
            main()
    print(look.split()[0], *sorted(HEAVY & set(sys.modules)))
"""


def test_looking_imports_no_heavy_library(tmp_path: Path) -> None:
    (tmp_path / "greenfront.db").write_bytes(gzip.decompress(FIXTURE.read_bytes()))
    command = [sys.executable, "-c", LOOKS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr == ""
    scoring = ("front", "ledger", "pick", "table", "whatif", "compare")
    assert done.stdout.splitlines() == [
        *("--version", "--help", "doctor", "studies"),
        *(f"{look} numpy" for look in scoring),
    ]


SEARCH = """
import sys
import greenfront.search.session, greenfront.search.proposals.racing
import greenfront.search.afterwards.tuning
HEAVY = {"torch", "onnx", "onnxruntime", "sklearn", "scipy", "pandas", "transformers", "plotly"}
print(*HEAVY & set(sys.modules))
"""


def test_a_search_and_what_follows_leave_networks_to_evaluators() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEARCH], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []

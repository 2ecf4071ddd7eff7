"""Runs the command as a user does: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Command:
    """The command ``greenfront`` in a folder."""

    folder: Path

    def arguments(self, *words: str) -> list[str]:
        return [sys.executable, "-W", "error", "-m", "greenfront", *words]

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Starts it in a process group of its own and does not wait."""
        return subprocess.Popen(
            self.arguments(*words),
            cwd=self.folder,
            env=_environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A test run in the background ignores Ctrl-C, and its children would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *words: str, code: int = 0, **environment: str) -> str:
        """Runs it to its end and gives what it printed; checks the exit code."""
        done = subprocess.run(
            self.arguments(*words),
            cwd=self.folder,
            env=_environment(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said
        return said

    def json(self, *words: str) -> Any:
        """Runs it with ``--json`` and reads the one object that it prints."""
        done = subprocess.run(
            self.arguments(*words, "--json"),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def write_study(self, name: str = "study.toml", **sections: str) -> Path:
        """A study file from its sections; by default of the digits, measured once and shortly."""
        sections = {
            "task": 'kind = "digits"',
            "objectives": "repeats = 1",
            "metering": "block_seconds = 0.01",
            **sections,
        }
        text = "\n".join(f"[{section}]\n{keys}\n" for section, keys in sections.items())
        path = self.folder / name
        path.write_text(text)
        return path

    def contents(self) -> set[str]:
        """Everything that lies in the folder."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


def _environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Ours with changes; a PYTHONPATH comes before ours."""
    path = [changes.get("PYTHONPATH"), os.environ.get("PYTHONPATH")]
    return os.environ | changes | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


FAST = {
    "space": 'architectures = ["mlp"]\ntemperature = [2.0, 6.0]',
    "training": "epochs = 2\nfine_tune_epochs = 1",
}
"""Sections of a study that is over in seconds."""

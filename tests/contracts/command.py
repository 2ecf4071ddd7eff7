"""Runs the command in a folder of its own: as a user does, or in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import unittest.mock
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts.forked import ForkedCommand, can_fork
from greenfront.cli.app import main

HEAVY = {
    "alembic",
    "numpy",
    "onnxruntime",
    "optuna",
    "pandas",
    "plotly",
    "ray",
    "sklearn",
    "sqlalchemy",
    "torch",
}
"""What takes long to import."""

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

    def fork(self, *words: str) -> ForkedCommand | subprocess.Popen[str]:
        """Like :meth:`start`, without what a start of it and of its evaluators takes."""
        return ForkedCommand(main, words, self.folder) if can_fork() else self.start(*words)

    def loaded(self, *words: str) -> set[str]:
        """The packages that a process which carries it out well has imported at its end."""
        code = (
            "import atexit, sys\n"
            "loaded = lambda: {name.partition('.')[0] for name in sys.modules}\n"
            "atexit.register(lambda: print('loaded:', *loaded()))\n"
            f"sys.argv = ['greenfront', *{words!r}]\n"
            "from greenfront.cli.app import main\n"
            "main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=self.folder,
            env=_environment({}),
            capture_output=True,
            text=True,
            check=True,
        )
        return set(done.stdout.rpartition("loaded: ")[2].split())

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

    def read(self, *words: str, code: int = 0) -> str:
        """Like :meth:`run`, in this process: without the time of a start."""
        done, out, err = self._inside(words)
        assert done == code, out + err
        assert "Traceback" not in out + err
        return out + err

    def read_json(self, *words: str, codes: tuple[int, ...] = (0,)) -> Any:
        """Like :meth:`json`, in this process; checks that the exit code is one of some."""
        done, out, err = self._inside((*words, "--json"))
        assert done in codes, out + err
        return json.loads(out)

    def _inside(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            unittest.mock.patch.object(sys, "argv", ["greenfront", *words]),
            pytest.raises(SystemExit) as end,
        ):
            main()
        assert isinstance(end.value.code, int)
        return end.value.code, out.getvalue(), err.getvalue()

    def write_study(self, name: str = "study.toml", **sections: str) -> Path:
        """A study file from its sections.

        By default of the digits, measured once and shortly, judged on one split, without
        references and ensemble, to its last trial.
        """
        sections = {
            "task": 'kind = "digits"',
            "objectives": "repeats = 1",
            "metering": "block_seconds = 0.01",
            **sections,
        }
        for key in ("references", "ensemble"):
            if key not in sections.get("space", ""):
                sections["space"] = f"{key} = false\n{sections.get('space', '')}"
        if "folds" not in sections["objectives"]:
            sections["objectives"] = f"folds = 1\n{sections['objectives']}"
        # All of the trials that are asked for, each to its end, however the machine measures them.
        for rest in ("stop_below = 0", "stop_hopeless = false"):
            if rest.split()[0] not in sections.get("search", ""):
                sections["search"] = f"{rest}\n{sections.get('search', '')}"
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

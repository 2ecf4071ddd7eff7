"""Where the outputs of stages are kept, under the hash of everything that produced them.

A child that shares a stage with an earlier trial loads its output instead of computing it again,
and takes over the readings that were stored with it. Only tensors (safetensors), ONNX files,
arrays and JSON are stored: nothing that is executed when it is read.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from greenfront.objectives.readings import Reading
from greenfront.spaces.space import stable_hash

__all__ = ["Kept", "LineageStore", "lineage_key"]

FORMAT = 5
"""Part of every key: raised when a change makes earlier outputs unusable."""


def lineage_key(stage: str, parent: str, knobs: Mapping[str, Any]) -> str:
    """Identity of a stage's output.

    Args:
        stage: The stage's name.
        parent: Key of its input; the task's fingerprint for a first stage.
        knobs: Everything else that the output depends on, as JSON values.
    """
    return stable_hash([FORMAT, stage, parent, dict(knobs)])


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored output.

    Attributes:
        folder: Where its files lie.
        readings: What it cost to make, by phase.
        facts: What else is known of it, as JSON values.
    """

    folder: Path
    readings: Mapping[str, Reading]
    facts: Mapping[str, Any]


class LineageStore:
    """Stage outputs in folders; safe for several processes at once.

    Args:
        root: Created where it is missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def made(
        self,
        key: str,
        make: Callable[[Path], tuple[Mapping[str, Reading], Mapping[str, Any]]],
    ) -> tuple[Kept, bool]:
        """Loads an output, or makes and stores it.

        A second process that wants the same output waits for the first. An output that was not
        finished, because the process was killed or ``make`` raised, leaves nothing behind that
        would be taken for one.

        Args:
            key: See :func:`lineage_key`.
            make: Writes files into the folder it is given and returns readings and facts.

        Returns:
            The output, and whether it was made by this call.
        """
        folder = self.root / key[:2] / key
        if (folder / "about.json").exists():
            return self._load(folder), False
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if (folder / "about.json").exists():
                return self._load(folder), False
            draft = Path(tempfile.mkdtemp(prefix=f"{key}.", suffix=".draft", dir=folder.parent))
            try:
                readings, facts = make(draft)
                about = {
                    "readings": {name: r.to_json() for name, r in readings.items()},
                    "facts": dict(facts),
                }
                (draft / "about.json").write_text(json.dumps(about))
                draft.replace(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return self._load(folder), True

    @staticmethod
    def _load(folder: Path) -> Kept:
        about = json.loads((folder / "about.json").read_text())
        readings = {name: Reading.from_json(r) for name, r in about["readings"].items()}
        return Kept(folder, readings, about["facts"])

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

from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.readings import Reading
from greenfront.spaces.space import stable_hash

__all__ = ["LineageStore", "Made", "StageOutput", "lineage_key"]

FORMAT = 7
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
class Made:
    """What is known of an output besides its files.

    Attributes:
        readings: What it cost to make, by phase.
        facts: What else is known of it: JSON values, or a dataclass that is stored as such.
    """

    readings: Mapping[str, Reading]
    facts: Any = None


@dataclass(frozen=True, slots=True)
class StageOutput:
    """A stored output.

    Attributes:
        key: See :func:`lineage_key`.
        folder: Where its files lie.
        readings: See :class:`Made`.
        facts: As JSON values.
    """

    key: str
    folder: Path
    readings: Mapping[str, Reading]
    facts: Any


class LineageStore:
    """Stage outputs in folders below a root; safe for several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def output(self, key: str, make: Callable[[Path], Made]) -> StageOutput:
        """Loads the output of a :func:`lineage_key`, or has ``make`` write it to a folder.

        A second process that wants the same output waits for the first. An output that was not
        finished, because the process was killed or ``make`` raised, leaves nothing behind that
        would be taken for one.
        """
        folder = self.root / key[:2] / key
        about = folder / "about.json"
        if not about.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                if not about.exists():
                    self._make(folder, make)
        stored = json.loads(about.read_text())
        readings = from_json(dict[str, Reading], stored["readings"])
        return StageOutput(key, folder, readings, stored["facts"])

    @staticmethod
    def _make(folder: Path, make: Callable[[Path], Made]) -> None:
        draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".draft", dir=folder.parent))
        try:
            (draft / "about.json").write_text(json.dumps(to_json(make(draft))))
            draft.replace(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

"""A GPU that a file plays, for this process and all that it starts."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts.waiting import eventually

FAKE = Path(__file__).parent / "nvml_in_a_file"

FOUND_MW = 400_000


@dataclass(frozen=True)
class CardInAFile:
    """The file, and the folder for what has to be restored.

    Attributes:
        path: The file.
        folder: Of the system's temporary files.
    """

    path: Path
    folder: Path

    @classmethod
    def plugged_in(cls, folder: Path, patch: pytest.MonkeyPatch, **changed: Any) -> CardInAFile:
        """A card whose limit is ``FOUND_MW``, taken out again with ``patch``."""
        temporary = folder / "tmp"
        temporary.mkdir()
        path = folder / "card.json"
        patch.syspath_prepend(FAKE)
        patch.delitem(sys.modules, "pynvml", raising=False)
        nvml = importlib.import_module("pynvml")
        patch.setitem(sys.modules, "pynvml", nvml)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(FAKE), os.environ.get("PYTHONPATH", "")]))
        patch.setenv(nvml.STATE, str(path))
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr("tempfile.tempdir", str(temporary))
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        nvml.plugged_in(path, **changed)
        return cls(path, temporary)

    @property
    def limit_mw(self) -> int:
        """In force."""
        return int(self._state()["limit_mw"])

    @property
    def set_mw(self) -> Sequence[int]:
        """All that were ever set."""
        return list(self._state()["set_mw"])

    def becomes(self, limit_mw: int, what: str, doer: Any = None) -> None:
        """Waits until a limit is in force."""
        eventually(lambda: self.limit_mw == limit_mw, what, doer)

    def change(self, **changed: Any) -> None:
        """Somebody else changes its state."""
        self.path.write_text(json.dumps(self._state() | changed))

    def _state(self) -> dict[str, Any]:
        # As a writer leaves it: it may be caught in the middle.
        while True:
            try:
                state: dict[str, Any] = json.loads(self.path.read_text())
            except ValueError:
                continue
            return state

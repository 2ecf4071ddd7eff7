"""What predictions of each graph cost, kept once for all files that execute it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.drafts import drafted
from greenfront.objectives.outcome import GraphReading
from greenfront.objectives.pipeline.manifest import needs_room

__all__ = ["FOLDER", "GraphCosts"]

FOLDER = "graphs"
"""Below the root of the lineage store."""


class GraphCosts:
    """The measurements of each graph, in a file of its own; safe for several processes at once.

    Args:
        root: Of the lineage store.
        study: Name of the study that measures; for people.
    """

    def __init__(self, root: Path, study: str = "") -> None:
        self._folder = root / FOLDER
        self._study = study

    def readings(self, key: str) -> tuple[GraphReading, ...]:
        """All measurements of a graph, the oldest first; none where its file is torn."""
        path = self._path(key)
        try:
            kept = from_json(tuple[GraphReading, ...], json.loads(path.read_bytes())["readings"])
            os.utime(path)  # tells when it was used last
        except (KeyError, OSError, TypeError, ValueError, RecursionError):
            return ()
        return kept

    def add(self, key: str, reading: GraphReading) -> tuple[GraphReading, ...]:
        """Keeps one more, and returns all of them.

        Raises:
            SearchAborted: The disk is full.
        """
        path = self._path(key)
        with needs_room(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                kept = (*self.readings(key), reading)
                _replace(path, {"study": self._study, "readings": _plain(kept)})
        return kept

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _plain(readings: Sequence[GraphReading]) -> list[Any]:
    return [to_json(reading) for reading in readings]


def _replace(path: Path, content: Any) -> None:
    """Writes a file entirely or not at all."""
    with drafted(path) as part:
        with part.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

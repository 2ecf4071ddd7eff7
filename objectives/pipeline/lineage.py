"""Where the outputs of stages are kept, under the hash of everything that produced them.

A child that shares a stage with an earlier trial loads its output instead of computing it again,
and takes over the readings that were stored with it. Only tensors (safetensors), ONNX files,
arrays and JSON are stored: nothing that is executed when it is read.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.drafts import clear_drafts
from greenfront.objectives.paths import is_below
from greenfront.objectives.pipeline.graph_costs import FOLDER as GRAPHS
from greenfront.objectives.pipeline.manifest import (
    Manifest,
    manifest_of,
    needs_room,
    sizes_match,
    sums_match,
)
from greenfront.objectives.pipeline.shared_store import SharedStore
from greenfront.objectives.readings import Reading
from greenfront.spaces.space import stable_hash

__all__ = ["ABOUT", "DRAFT", "LineageStore", "Made", "StageOutput", "lineage_key"]

FORMAT = 7
"""Part of every key: raised when a change makes earlier outputs unusable."""

ABOUT = "about.json"
"""What is known of an output, in its folder."""
DRAFT = ".draft"
"""Suffix of a folder that is being written, or thrown away."""


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


@dataclass(frozen=True, slots=True)
class _About:
    """The content of :data:`ABOUT`.

    Attributes:
        readings: See :class:`Made`.
        facts: See :class:`Made`.
        files: What else is in the folder; ``None`` where an earlier version wrote it.
        stage: Which stage made it.
        study: For which study it was made.
    """

    readings: Mapping[str, Reading]
    facts: Any = None
    files: Manifest | None = None
    stage: str = ""
    study: str = ""


class LineageStore:
    """Stage outputs in folders below a root; safe for several processes at once.

    Args:
        root: Made when something is stored.
        study: Name of the study that stores; for people.
        shared: Where other machines' outputs are found, and these are put; ``None``: nowhere.
    """

    def __init__(self, root: Path, study: str = "", shared: SharedStore | None = None) -> None:
        self.root = root
        self.study = study
        self._shared = shared
        self._verified: set[str] = set()

    def holds(self, key: str) -> bool:
        """Whether the output of a :func:`lineage_key` is there as it was written."""
        return self._found(self._folder(key)) is not None

    def output(self, key: str, make: Callable[[Path], Made], *, stage: str = "") -> StageOutput:
        """Loads the output of a :func:`lineage_key`, or has ``make`` write it to a folder.

        A second process that wants the same output waits for the first. An output that was not
        finished, because the process was killed or ``make`` raised, leaves nothing behind that
        would be taken for one. One of whose files is not what was written is made again.

        Args:
            key: Of the output.
            make: Writes its files into an empty folder.
            stage: What makes it, for people.

        Raises:
            SearchAborted: The disk is full.
        """
        folder = self._folder(key)
        with needs_room(self.root):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                about = self._intact(folder) or self._fetched(folder)
                if about is None:
                    about = self._make(folder, make, stage)
                    if self._shared is not None:
                        self._shared.keep(key, ABOUT, folder)
                os.utime(folder)  # tells when it was used last
        return StageOutput(key, folder, about.readings, about.facts)

    def find(self, key: str) -> StageOutput | None:
        """The output of a :func:`lineage_key`, if it was made and is as it was written."""
        folder = self._folder(key)
        about = self._found(folder)
        return None if about is None else StageOutput(key, folder, about.readings, about.facts)

    def holds_intact(self, file: Path) -> bool:
        """Whether a file, relative to the root, is there in an output that is as it was written."""
        path = self.root / file
        return self._found(path.parent) is not None and path.is_file()

    def clear_drafts(self) -> None:
        """Removes what processes that are dead did not finish."""
        for draft in self.root.glob(f"??/*{DRAFT}"):
            lock = FileLock(draft.parent / f"{draft.name.partition('.')[0]}.lock", timeout=0)
            with contextlib.suppress(Timeout), lock:  # else its owner is at work
                shutil.rmtree(draft, ignore_errors=True)
        clear_drafts(self.root / GRAPHS)

    def _folder(self, key: str) -> Path:
        return self.root / key[:2] / key

    def _found(self, folder: Path) -> _About | None:
        """What is known of an output here or on other machines, which is then here, too."""
        about = self._intact(folder)
        if about is not None or self._shared is None:
            return about
        with needs_room(self.root):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                return self._intact(folder) or self._fetched(folder)

    def _fetched(self, folder: Path) -> _About | None:
        """Takes an output from the shared store; the caller holds its lock."""
        if self._shared is None:
            return None
        draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=DRAFT, dir=folder.parent))
        try:
            if not self._shared.fetch(folder.name, ABOUT, draft):
                return None
            _replace(folder, draft)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return self._intact(folder)

    def _intact(self, folder: Path) -> _About | None:
        """What is known of an output; ``None`` where there is none, or a torn one."""
        try:
            about = from_json(_About, json.loads((folder / ABOUT).read_bytes()))
        except (OSError, TypeError, ValueError, RecursionError):
            return None
        if about.files is None:
            return about
        if not all(map(is_below, about.files)) or not sizes_match(folder, about.files):
            return None
        # What is read once in this process was brought to the disk.
        if folder.name not in self._verified and not sums_match(folder, about.files):
            return None
        self._verified.add(folder.name)
        return about

    def _make(self, folder: Path, make: Callable[[Path], Made], stage: str) -> _About:
        draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=DRAFT, dir=folder.parent))
        try:
            made = make(draft)
            # As it will be read: what stages return is not what they find later.
            facts = json.loads(json.dumps(to_json(made.facts)))
            about = _About(made.readings, facts, manifest_of(draft), stage, self.study)
            with (draft / ABOUT).open("w") as file:
                json.dump(to_json(about), file)
                file.flush()
                os.fsync(file.fileno())
            _replace(folder, draft)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._verified.add(folder.name)
        return about


def _replace(folder: Path, draft: Path) -> None:
    """Puts a whole draft in its place, where a torn output may lie."""
    if folder.exists():
        torn = draft.with_name(f"{draft.name.removesuffix(DRAFT)}.torn{DRAFT}")
        folder.replace(torn)
        shutil.rmtree(torn, ignore_errors=True)
    draft.replace(folder)

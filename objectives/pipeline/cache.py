"""What lies in a cache folder, and removing what was not used for longest."""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from greenfront.objectives.pipeline.cache_lease import holders
from greenfront.objectives.pipeline.graph_costs import FOLDER as GRAPHS
from greenfront.objectives.pipeline.lineage import ABOUT, DRAFT

__all__ = ["LINEAGE", "CacheEntry", "capped", "entries", "remove"]

LINEAGE = "lineage"
"""Folder of stages' outputs and graphs' costs, below a study's cache."""
GRAPH = "graph cost"
DELIVERED = ("export", "fit")
"""Stages whose files are what a study is for."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A stage's output, or the measurements of a graph.

    Attributes:
        path: Its folder, or its file.
        stage: What made it; empty where an earlier version did.
        study: For which study; empty likewise.
        bytes: Of its files.
        used_at: When it was used last, in seconds since 1970.
    """

    path: Path
    stage: str
    study: str
    bytes: int
    used_at: float


def entries(root: Path) -> list[CacheEntry]:
    """All that a lineage store keeps, what was not used for longest first."""
    found = []
    for folder in root.glob("??/*/"):
        if folder.suffix != DRAFT:
            with contextlib.suppress(OSError):  # removed meanwhile
                about = _json(folder / ABOUT)
                size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
                stage, study = str(about.get("stage", "")), str(about.get("study", ""))
                found.append(CacheEntry(folder, stage, study, size, folder.stat().st_mtime))
    for file in root.glob(f"{GRAPHS}/*.json"):
        with contextlib.suppress(OSError):
            stat, study = file.stat(), str(_json(file).get("study", ""))
            found.append(CacheEntry(file, GRAPH, study, stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda entry: (entry.used_at, str(entry.path)))


def remove(
    root: Path, most_bytes: float, kept: Callable[[CacheEntry], bool] | None = None
) -> list[CacheEntry]:
    """Removes what was not used for longest until the rest takes at most so many bytes.

    Nothing goes that a running search uses: what its present call has touched, and by default
    all that was made for its study.

    Args:
        root: Of the lineage store.
        most_bytes: 0 removes all that may go.
        kept: What stays in any case instead of the outputs of running studies.

    Returns:
        What was removed.
    """
    working = holders(root)
    studies = {holder.study for holder in working}
    stays = kept or (lambda entry: entry.study in studies)
    since = min((holder.since for holder in working), default=float("inf"))
    there = entries(root)
    total, removed = sum(entry.bytes for entry in there), []
    for entry in there:
        if total <= most_bytes:
            break
        if entry.used_at < since and not stays(entry) and _removed(entry):
            total -= entry.bytes
            removed.append(entry)
    return removed


def capped(root: Path, most_bytes: float, studies: Collection[str]) -> list[CacheEntry]:
    """The same from within running studies: their intermediate outputs may go, their files not."""
    return remove(
        root, most_bytes, lambda entry: entry.study in studies and entry.stage in DELIVERED
    )


def _removed(entry: CacheEntry) -> bool:
    """Removes an entry, unless somebody is at work on it or has used it meanwhile."""
    path = entry.path
    with (
        contextlib.suppress(OSError, Timeout),
        FileLock(path.with_suffix(".lock"), timeout=0),
    ):
        if path.stat().st_mtime != entry.used_at:
            return False
        if path.is_file():
            path.unlink()
            return True
        # In one step, so that a kill leaves no half entry.
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{DRAFT}")
        path.replace(draft)
        shutil.rmtree(draft, ignore_errors=True)
        return True
    return False


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}

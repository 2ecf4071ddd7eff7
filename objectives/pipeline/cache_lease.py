"""Who is at work on a cache folder: nothing that a running search uses is removed under it."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["CacheLease", "Holder", "holders"]

FOLDER = "leases"
"""Below the root of the lineage store."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process at work.

    Attributes:
        study: Name of its study.
        since: When its present call began, in seconds since 1970: what it uses was used since.
    """

    study: str
    since: float


class CacheLease:
    """Held by a process for as long as it lives; a dead one's is seen to be free.

    Args:
        root: Of the lineage store.
        study: Name of the study.
    """

    def __init__(self, root: Path, study: str) -> None:
        folder = root / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{study}.{os.getpid()}.{uuid.uuid4().hex[:8]}.lock"
        self._lock = FileLock(self._path)
        self._lock.acquire()

    def renew(self) -> None:
        """Begins a call: what was used before is not in use any more."""
        os.utime(self._path)

    def release(self) -> None:
        """Gives it back."""
        self._lock.release()
        self._path.unlink(missing_ok=True)


def holders(root: Path) -> list[Holder]:
    """All processes at work; removes the leases of dead ones."""
    found = []
    for path in (root / FOLDER).glob("*.lock"):
        with contextlib.suppress(FileNotFoundError):
            since = path.stat().st_mtime
            try:
                with FileLock(path, timeout=0):
                    path.unlink(missing_ok=True)
            except Timeout:
                found.append(Holder(path.name.rsplit(".", 3)[0], min(since, time.time())))
    return found

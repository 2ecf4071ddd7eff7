"""Files and folders that are written beside their place and appear there whole.

A draft is locked for as long as its writer lives. The kernel gives the lock back when the writer
dies, of whatever, so that whoever comes next knows a left-over from another's work.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["clear_drafts", "drafted", "locked"]

SUFFIX = ".draft"


@contextlib.contextmanager
def drafted(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """An empty draft beside a path, which is removed in the end unless it was renamed.

    What dead processes have left of the same path goes first.

    Args:
        path: Where the draft is meant to be in the end; its folder must exist.
        folder: Whether it is a folder.

    Raises:
        OSError: It cannot be made.
    """
    clear_drafts(path.parent, glob.escape(path.name))
    draft, lock = _locked_draft(path, folder)
    try:
        yield draft
    finally:
        _remove(draft)
        os.close(lock)


def clear_drafts(place: Path, names: str = "*") -> None:
    """Removes drafts in a folder whose writers are dead.

    Args:
        place: The folder.
        names: Pattern of what they were meant to be.
    """
    for draft in place.glob(f".{names}.*{SUFFIX}"):
        with contextlib.suppress(OSError), locked(draft):  # else its writer is at work
            _remove(draft)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of a file or folder.

    Raises:
        OSError: Another process holds it, or there is nothing.
    """
    lock = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _locked_draft(path: Path, folder: bool) -> tuple[Path, int]:
    prefix, place = f".{path.name}.", path.parent
    while True:
        if folder:
            draft = Path(tempfile.mkdtemp(prefix=prefix, suffix=SUFFIX, dir=place))
            lock = os.open(draft, os.O_RDONLY)
        else:
            lock, name = tempfile.mkstemp(prefix=prefix, suffix=SUFFIX, dir=place)
            draft = Path(name)
        # Where a file system has no locks, nobody takes a draft for a dead process's.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        if draft.exists():
            return draft, lock
        os.close(lock)  # cleared by another process before it was locked


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        draft.unlink(missing_ok=True)

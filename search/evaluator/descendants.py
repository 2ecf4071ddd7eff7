"""All that an evaluator has started, however it has hidden: found by a mark, and ended.

A process inherits the environment of the one that started it, also over double forks and new
sessions, and Linux shows what a process began with. So whatever bears an evaluator's mark came of
it. What cannot be found: a process that was started with an emptied environment, or by another
program on request (a container, a service), after its evaluator has died.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["MARK", "kill_descendants", "marked"]

MARK = "GREENFRONT_EVALUATOR"
"""Environment variable: the supervisor's own mark, a slash, the evaluator's."""

ROUNDS = 50
"""Looks for what was started while the others were ended, before giving up."""

PAUSE_SECONDS = 0.01

_PROC = Path("/proc")


def marked(mark: str) -> Iterator[int]:
    """Processes of this user, but this one, that bear a mark or one that begins with it."""
    wanted = f"{MARK}={mark}".encode()
    for entry in os.scandir(_PROC) if _PROC.is_dir() else ():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        # Another user's, or one that has ended: a dead process shows nothing.
        with contextlib.suppress(OSError):
            environment = (_PROC / entry.name / "environ").read_bytes()
            if any(each.startswith(wanted) for each in environment.split(b"\0")):
                yield int(entry.name)


def kill_descendants(mark: str) -> None:
    """Kills all that bear a mark, and what they start meanwhile, until there is none."""
    for _ in range(ROUNDS):
        found = list(marked(mark))
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)

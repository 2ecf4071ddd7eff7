"""Hardware threads of its own for each evaluator, across all searches of a machine."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

__all__ = ["CoreLease", "cores_here", "in_order"]

TOPOLOGY = Path("/sys/devices/system/cpu")


def cores_here() -> tuple[int, ...]:
    """Numbers of the hardware threads that its scheduler or container lets this process use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def in_order(cores: Sequence[int], topology: Path = TOPOLOGY) -> list[int]:
    """The same with one thread of each physical core first: two on one core share its units."""
    return sorted(cores, key=lambda core: (_rank(core, topology), core))


def _rank(core: int, topology: Path) -> int:
    """Position among the threads of its physical core; 0 where the kernel does not tell."""
    try:
        told = (topology / f"cpu{core}/topology/thread_siblings_list").read_text()
        siblings = [
            number
            for part in told.strip().split(",")
            for first, _, last in [part.partition("-")]
            for number in range(int(first), int(last or first) + 1)
        ]
    except (OSError, ValueError):
        return 0
    return sorted(siblings).index(core) if core in siblings else 0


@dataclass(frozen=True, slots=True)
class CoreLease:
    """The right to some hardware threads, held through files in the system's temporary folder.

    Without it two searches would pin their evaluators to the same threads and leave others idle. It
    ends with its holder's process.

    Attributes:
        cores: Their numbers.
        locks: Of the files.
    """

    cores: tuple[int, ...]
    locks: tuple[FileLock, ...]

    @classmethod
    def take(cls, count: int, folder: Path | None = None) -> Self | None:
        """Leases so many threads; ``None`` where fewer are free, or threads cannot be pinned.

        Args:
            count: How many.
            folder: Of the lock files; by default the system's temporary one. All searches of a
                machine must agree on it.
        """
        if not hasattr(os, "sched_setaffinity"):
            return None
        place = Path(tempfile.gettempdir()) if folder is None else folder
        cores: list[int] = []
        with contextlib.ExitStack() as stack:
            locks = []
            for core in in_order(cores_here()):
                path = place / f"greenfront-core-{core}.lock"
                lock = FileLock(path, mode=0o666, thread_local=False, is_singleton=False)
                try:
                    lock.acquire(blocking=False)
                except (Timeout, OSError):  # another's, or a file that only its owner may open
                    continue
                stack.callback(lock.release)
                locks.append(lock)
                cores.append(core)
                if len(cores) == count:
                    stack.pop_all()
                    return cls(tuple(cores), tuple(locks))
        return None

    def pin(self, pid: int) -> None:
        """Keeps a process that has just begun, and all that it starts, on these threads."""
        with contextlib.suppress(OSError):  # it has died, or its container moved meanwhile
            os.sched_setaffinity(pid, self.cores)

    def release(self) -> None:
        """Gives them back."""
        for lock in self.locks:
            lock.release()

"""CPU time and memory of a process together with everything it started.

On Linux each live process is read through its own CPU clock, exact to the nanosecond, and each
child that has ended through ``cutime`` and ``cstime`` of the parent that waited for it (ticks of
10 ms, truncated once per parent and not per child; see ``proc(5)``). Elsewhere psutil answers.

What no snapshot can see: children that ended while their parent ignored ``SIGCHLD``, and
processes whose parent ended before them (they move to another parent and leave the tree).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from greenfront.errors import MeterError

if TYPE_CHECKING:
    import psutil

__all__ = ["machine_cpu_seconds", "own_rss_bytes", "tree_cpu_seconds", "tree_rss_bytes"]

_PROC = Path("/proc")
_ATTEMPTS = 3
_GONE = (FileNotFoundError, ProcessLookupError)


@lru_cache(maxsize=1)
def _has_proc() -> bool:
    return (_PROC / "self/stat").exists()


@lru_cache(maxsize=1)
def _lists_children() -> bool:
    """Whether this kernel was built with CONFIG_PROC_CHILDREN."""
    return any(_PROC.glob(f"{os.getpid()}/task/*/children"))


def _ticks(pid: int) -> tuple[int, int]:
    """CPU ticks of the process itself and of the children it has waited for."""
    text = Path(f"{_PROC}/{pid}/stat").read_bytes()
    # The second field is the command in brackets and may itself hold blanks and brackets.
    fields = text[text.rindex(b")") + 2 :].split(b" ", 15)
    return int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def _own_seconds(pid: int, ticks: int) -> float:
    try:
        # The kernel's name for "CPU clock of that process": MAKE_PROCESS_CPUCLOCK(pid, SCHED).
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> Iterator[int]:
    if _lists_children():
        tasks = f"{_PROC}/{pid}/task"
        for task in os.listdir(tasks):  # noqa: PTH208 - a path object for each thread takes longer
            try:
                text = Path(f"{tasks}/{task}/children").read_bytes()
            except _GONE:
                continue  # a thread that ended meanwhile; its children moved to another thread
            yield from map(int, text.split())
    else:
        import psutil

        with suppress(psutil.NoSuchProcess):
            yield from (child.pid for child in psutil.Process(pid).children())


def _tree_seconds(pid: int) -> float:
    """CPU seconds of a tree; raises where its root does not exist."""
    seconds = 0.0
    for _ in range(_ATTEMPTS):
        own, reaped = _ticks(pid)
        seconds = _own_seconds(pid, own) + reaped / os.sysconf("SC_CLK_TCK")
        for child in _children(pid):
            with suppress(*_GONE):
                seconds += _tree_seconds(child)
        # A child that ended on the way stands in neither sum or in both: look again.
        if _ticks(pid)[1] == reaped:
            break
    return seconds


def _tree_pids(pid: int) -> Iterator[int]:
    yield pid
    with suppress(*_GONE):
        for child in _children(pid):
            yield from _tree_pids(child)


def _missing(pid: int) -> MeterError:
    return MeterError(
        f"process {pid}: cannot be metered because no such process exists; "
        "take the snapshot before it is waited for, or pass cpu_seconds as wait4 told it"
    )


def tree_cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all its descendants, live or waited for.

    One that has ended but was not waited for still counts.

    Returns:
        User and system time in seconds since the root began. When a live descendant is waited
        for, the sum may fall by up to two clock ticks (20 ms), because its time is from then on
        known in whole ticks; when one is orphaned, by all of its time.

    Raises:
        MeterError: There is no such process.
    """
    if not _has_proc():
        return _psutil_cpu_seconds(pid)
    try:
        return _tree_seconds(pid)
    except _GONE:
        raise _missing(pid) from None


def tree_rss_bytes(pid: int) -> int:
    """Resident memory of a process and of all its live descendants.

    Pages that processes share count once for each of them, so this is an upper bound.

    Raises:
        MeterError: There is no such process.
    """
    if not _has_proc():
        return _psutil_rss_bytes(_psutil_tree(pid))
    rss_bytes = 0
    for member in _tree_pids(pid):
        try:
            rss_bytes += _rss_bytes(member)
        except _GONE:
            if member == pid:
                raise _missing(pid) from None
    return rss_bytes


def own_rss_bytes(pid: int) -> int:
    """Resident memory of a process without its descendants.

    Raises:
        MeterError: There is no such process.
    """
    if not _has_proc():
        return _psutil_rss_bytes(_psutil_tree(pid)[:1])
    try:
        return _rss_bytes(pid)
    except _GONE:
        raise _missing(pid) from None


def _rss_bytes(pid: int) -> int:
    pages = int(Path(f"{_PROC}/{pid}/statm").read_bytes().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def machine_cpu_seconds(stat: Path = _PROC / "stat") -> float | None:
    """Busy CPU time of the whole machine since boot, from the kernel's table (``proc(5)``).

    Returns:
        Seconds, summed over hardware threads, in whole ticks, without idle time, waiting for disks
        and time that a hypervisor gave to others. ``None`` where there is no such table.
    """
    try:
        with stat.open("rb") as file:
            user, nice, system, _idle, _iowait, irq, softirq = map(
                int, file.readline().split()[1:8]
            )
    except FileNotFoundError:
        return None
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _psutil_tree(pid: int) -> list[psutil.Process]:
    import psutil

    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        raise _missing(pid) from None


def _psutil_cpu_seconds(pid: int) -> float:
    import psutil

    seconds = 0.0
    for member in _psutil_tree(pid):
        with suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            seconds += times.user + times.system
            # macOS and Windows tell nothing of children that were waited for.
            seconds += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return seconds


def _psutil_rss_bytes(processes: list[psutil.Process]) -> int:
    import psutil

    rss_bytes = 0
    for member in processes:
        with suppress(psutil.NoSuchProcess):
            rss_bytes += int(member.memory_info().rss)
    return rss_bytes

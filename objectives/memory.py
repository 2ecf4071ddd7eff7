"""The memory of this process: its peak, and whether it ran out."""

from __future__ import annotations

import ctypes
import functools
import gc
import resource
import sys
from pathlib import Path

__all__ = ["is_out_of_memory", "peak_memory_bytes", "release_memory", "reset_peak_memory"]

WORDS = ("out of memory", "can't allocate memory", "bad allocation", "bad_alloc")
"""Libraries in C++ say so in a RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, torch or ONNX Runtime could not get the memory it asked for."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or any(word in words for word in WORDS)


def release_memory() -> None:
    """Gives back to the system what was freed: a small network after a large one stays small.

    The C library keeps what it was given for later, all the more of it where threads share it.
    Where it has no way to give it back (other than glibc), it keeps it. Modules stay, and looking
    for garbage among theirs takes longer than many a training: what is there when new ones have
    been loaded is looked through once.
    """
    gc.collect()
    _spare_modules(len(sys.modules))
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@functools.cache
def _spare_modules(loaded: int) -> None:  # noqa: ARG001
    """Once for each number of loaded modules: collections pass over what is there by now."""
    gc.freeze()


def reset_peak_memory() -> None:
    """Forgets the peak, where the kernel lets a process clear its own (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory_bytes() -> int | None:
    """Highest resident memory since :func:`reset_peak_memory`; ``None`` if unknown."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None

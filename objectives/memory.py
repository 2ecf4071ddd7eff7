"""The resident memory of this process."""

from __future__ import annotations

import resource
from pathlib import Path

__all__ = ["peak_memory_bytes", "reset_peak_memory"]


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

"""Which process is which: on one machine, across its boots, and in containers beside it.

A host's name says little: containers share one, or are made anew with the same. So a process is
known by its place and, there, by its number and its start.
"""

from __future__ import annotations

import platform
import uuid
from pathlib import Path

import psutil

__all__ = ["SILENCE_SECONDS", "exists", "place", "since_boot"]

SILENCE_SECONDS = 60.0
"""A process elsewhere that has been silent for so long is taken for dead."""


BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
PROCESS_NAMESPACE = Path("/proc/self/ns/pid")


def place() -> str:
    """Where this process's number means something.

    Name, boot and machine of the host, and the namespace of its process numbers; two processes of
    one place can see each other. Where the boot cannot be told, its moment stands for it; where
    machine or namespace cannot, ``-`` does.
    """
    boot = _text(BOOT_ID) or f"{psutil.boot_time():.0f}"
    machine = next(filter(None, map(_text, MACHINE_IDS)), None) or _network_card()
    # Of the name, which is only shown, as much as its column takes.
    return "/".join([platform.node()[:100], boot[:64], machine[:40], _namespace()[:40]])


def exists(pid: int, started: float) -> bool:
    """Whether a process of this place is there and not a killed one that nobody has waited for.

    Args:
        pid: Its number.
        started: See :func:`since_boot`. It tells a process from another one that was given its
            number since; older versions kept it in Unix seconds.
    """
    try:
        process = psutil.Process(pid)
        begun = (since_boot(process), process.create_time())
        same = any(abs(start - started) < 1.0 for start in begun)
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def since_boot(process: psutil.Process) -> float:
    """When a process was started, in seconds since the boot: the wall clock may be set."""
    boot = psutil.boot_time()  # first: creation times are told against what it has last found
    return float(process.create_time() - boot)


def _namespace() -> str:
    try:
        return PROCESS_NAMESPACE.readlink().name  # such as pid:[4026531836]
    except OSError:
        return "-"


def _network_card() -> str:
    """What stands for the machine where it has no id: the address of its network card."""
    address = uuid.getnode()
    # Bit 40 marks an address that was made up for want of one, anew in each process.
    return "-" if address >> 40 & 1 else f"{address:012x}"


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None

"""Polling a counter, and measuring how often it is refreshed."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from itertools import pairwise
from types import MethodType

__all__ = ["poll", "watch_resolution"]

PAUSE_SECONDS = 0.0005
MOVES = 5


def poll(method: Callable[[], object], every_seconds: float) -> None:
    """Calls a bound method, which must not raise, from a thread while its object is alive."""
    assert isinstance(method, MethodType)
    reference = weakref.WeakMethod(method)
    over = threading.Event()
    weakref.finalize(method.__self__, over.set)

    def keep_calling() -> None:
        while not over.wait(every_seconds):
            call = reference()
            if call is None:
                return
            call()
            del call

    threading.Thread(target=keep_calling, name="meter", daemon=True).start()


def watch_resolution(
    read: Callable[[], float],
    limit_seconds: float,
    *,
    clock_seconds: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float | None:
    """Measures how often a counter is refreshed.

    Returns:
        The longest time between two changes; ``limit_seconds`` where it changed once; ``None``
        where it did not change.
    """
    began = clock_seconds()
    value, moves = read(), list[float]()
    while len(moves) <= MOVES and clock_seconds() - began < limit_seconds:
        sleep(PAUSE_SECONDS)
        latest = read()
        if latest != value:
            value = latest
            moves.append(clock_seconds())
    if len(moves) < 2:
        return limit_seconds if moves else None
    return max(later - earlier for earlier, later in pairwise(moves))

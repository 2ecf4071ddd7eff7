"""Waiting for what other processes and threads do, however busy the machine is."""

from __future__ import annotations

from collections.abc import Callable

# By their own names: a test that simulates time replaces those of the module.
from time import monotonic, sleep
from typing import Any, Protocol, TypeVar

PATIENCE_SECONDS = 480.0
"""After which what a test waits for is not coming: no busy machine takes as long."""

LOOK_SECONDS = 0.02


T = TypeVar("T")


class Doer(Protocol):
    """A process, such as a ``Popen`` of texts."""

    def poll(self) -> int | None: ...

    def communicate(self) -> tuple[str, Any]: ...


def eventually(
    look: Callable[[], T],
    what: str,
    doer: Doer | None = None,
) -> T:
    """Looks until something is so.

    Args:
        look: Gives something false until it is.
        what: Is waited for, as words after "no", to be said where it does not come.
        doer: The process that does it: when it has ended first, nobody waits any longer.

    Returns:
        What was seen.

    Raises:
        AssertionError: It did not come, or the process ended before, with all that it has said.
    """
    patience = monotonic() + PATIENCE_SECONDS
    while True:
        ended = doer is not None and doer.poll() is not None  # asked first: it may just do it
        if seen := look():
            return seen
        assert doer is None or not ended, f"no {what}: {doer.communicate()[0]}"
        assert monotonic() < patience, f"no {what} in {PATIENCE_SECONDS:.0f} s"
        sleep(LOOK_SECONDS)

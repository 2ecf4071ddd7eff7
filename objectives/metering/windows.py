"""Arithmetic that every meter shares."""

from __future__ import annotations

__all__ = ["grown"]


def grown(before: float, after: float, counter: str) -> tuple[float, tuple[str, ...]]:
    """How much a counter grew between two snapshots.

    Args:
        before: The earlier value.
        after: The later value, in the same unit.
        counter: What is counted, for the flag.

    Returns:
        The growth, and the flags that a reading must carry. A counter that fell, because a child
        left the process tree or a driver was loaded again, grew by 0 and is flagged.
    """
    if after >= before:
        return after - before, ()
    return 0.0, (f"{counter} fell and was clamped to 0",)

"""Stretches of time as sorted lists of (start, end), without overlap."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Interval", "length", "minus", "union"]

Interval = tuple[float, float]


def union(parts: Iterable[Interval], *, bridging: float = 0.0) -> list[Interval]:
    """What at least one part covers; gaps of up to ``bridging`` are closed."""
    found: list[Interval] = []
    for start, end in sorted(parts):
        if found and start <= found[-1][1] + bridging:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif end > start:
            found.append((start, end))
    return found


def minus(whole: Iterable[Interval], holes: Iterable[Interval]) -> list[Interval]:
    """What the one covers and the other does not."""
    cut = union(holes)
    found: list[Interval] = []
    for start, end in union(whole):
        at = start
        for hole_start, hole_end in cut:
            if hole_end <= at or hole_start >= end:
                continue
            if hole_start > at:
                found.append((at, hole_start))
            at = max(at, hole_end)
        if at < end:
            found.append((at, end))
    return found


def length(parts: Iterable[Interval]) -> float:
    """How long parts without overlap are together."""
    return sum(end - start for start, end in parts)

"""Stretches of time as sorted lists of (start, end), without overlap."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Interval", "length", "minus", "overlapping", "union"]

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


def overlapping(parts: Iterable[Interval], count: int) -> list[Interval]:
    """What at least so many parts cover at a time."""
    edges = sorted(edge for start, end in parts if end > start for edge in ((start, 1), (end, -1)))
    found: list[Interval] = []
    depth, since = 0, 0.0
    for instant, change in edges:  # at one instant ends come first
        depth += change
        if change == 1 and depth == count:
            since = instant
        elif change == -1 and depth == count - 1:
            found.append((since, instant))
    return union(found)


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

"""Hypervolume in a scale that people can read and that does not move while a search goes on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.pareto import hypervolume

__all__ = ["Corners", "Frontier", "minimised", "seen_corners"]

Vector: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Corners:
    """What hypervolume is measured against, in the objectives' own units.

    Attributes:
        worst: The reference point: what is not better in every objective adds nothing.
        best: With it, the hypervolume is the share of the box between the two corners; without it
            (``None``), it is the raw volume in the product of the objectives' units.
    """

    worst: tuple[float, ...]
    best: tuple[float, ...] | None = None


def minimised(values: Sequence[Sequence[float]], maximise: Sequence[bool]) -> NDArray[np.float64]:
    """Objective vectors ``[n, objectives]`` with the maximised ones negated."""
    signs = np.where(np.asarray(maximise), -1.0, 1.0)
    vectors: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    signed: NDArray[np.float64] = vectors.reshape(-1, len(signs)) * signs
    return signed


def seen_corners(values: Sequence[Sequence[float]], maximise: Sequence[bool]) -> Corners | None:
    """The box of everything seen, for a problem that has no natural one; ``None`` for nothing."""
    if not values:
        return None
    matrix = np.asarray(values, dtype=np.float64)
    high, low = matrix.max(axis=0), matrix.min(axis=0)
    upward = np.asarray(maximise)
    worst, best = np.where(upward, low, high), np.where(upward, high, low)
    return Corners(tuple(worst.tolist()), tuple(best.tolist()))


class Frontier:
    """The non-dominated vectors so far, kept up to date one by one.

    Vectors are short and most are beaten by the first one that is looked at, so plain numbers are
    compared here: arrays of three take many times as long to set up.

    Args:
        maximise: For each objective, whether more is better.
    """

    def __init__(self, maximise: Sequence[bool]) -> None:
        self._maximise = tuple(maximise)
        self._front: list[Vector] = []
        self._unjudged: list[Vector] = []
        self._seen: list[Vector] = []
        self._corners: Corners | None = None
        self._alike = self._pairs()
        self._volume: float | None = None

    def add(self, values: Sequence[float]) -> None:
        """Takes one vector in, in the objectives' own units."""
        vector = self._minimised(values)
        if any(map(math.isnan, vector)):
            raise ValueError(f"objective values must not be NaN: {values!r}")
        self._seen.append(vector)
        self._unjudged.append(vector)
        if not self._beats(vector):
            self._front = [other for other in self._front if not _dominates(vector, other)]
            self._front.append(vector)
            self._volume = None

    def __len__(self) -> int:
        """Number of vectors on the front; equal ones count each."""
        return len(self._front)

    def dominates(self, values: Sequence[float]) -> bool:
        """Whether a vector of the front is nowhere worse than ``values`` and somewhere better."""
        return self._beats(self._minimised(values))

    def _minimised(self, values: Sequence[float]) -> Vector:
        return tuple(
            -float(value) if more else float(value)
            for value, more in zip(values, self._maximise, strict=True)
        )

    def _beats(self, vector: Vector) -> bool:
        return any(_dominates(other, vector) for other in self._front)

    def volume(self, corners: Corners) -> float:
        """Hypervolume of the front.

        In a box, an objective that is a multiple of an earlier one (CO₂ under a constant
        intensity) is left out: it would count the same gain twice. One whose corners agree cannot
        be scaled and is left out as well; in a box without any extent the volume is 0.
        """
        if corners != self._corners:
            self._corners, self._volume = corners, None
            self._unjudged, self._alike = list(self._seen), self._pairs()
        if self._judge(corners) or self._volume is None:
            self._volume = self._measured(corners)
        return self._volume

    def _pairs(self) -> set[tuple[int, int]]:
        """Pairs of objectives, the later one first, of which one might stand for both."""
        pairs = itertools.combinations(range(len(self._maximise)), 2)
        return {(b, a) for a, b in pairs if self._maximise[a] == self._maximise[b]}

    def _judge(self, corners: Corners) -> bool:
        """Looks at what is new for objectives that differ; whether some do that did not before.

        Judged by everything seen: on a small front, two objectives may agree by chance.
        """
        if corners.best is None:
            return False
        fresh, self._unjudged = self._unjudged, []
        before = len(self._alike)
        if before:
            _, best, extent = (part.tolist() for part in self._box(corners, corners.best))
            for vector in fresh:
                shares = [(v - b) / e for v, b, e in zip(vector, best, extent, strict=True)]
                self._alike = {(a, b) for a, b in self._alike if _close(shares[a], shares[b])}
        return len(self._alike) < before

    def _measured(self, corners: Corners) -> float:
        if not self._front:
            return 0.0
        front = np.array(self._front)
        if corners.best is None:
            return hypervolume(front, minimised([corners.worst], self._maximise)[0])
        scaled, best, extent = self._box(corners, corners.best)
        own: list[int] = []
        for column in np.flatnonzero(scaled).tolist():
            if all((column, earlier) not in self._alike for earlier in own):
                own.append(column)
        if not own:
            return 0.0
        # Nothing counts for better than the best corner.
        shares = np.clip((front - best) / extent, 0.0, None)[:, own]
        return hypervolume(shares, np.ones(len(own)))

    def _box(
        self, corners: Corners, best: tuple[float, ...]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
        """Which objectives can be scaled, the best corner, and the extent."""
        low = minimised([best], self._maximise)[0]
        extent = minimised([corners.worst], self._maximise)[0] - low
        return extent > 0, low, np.where(extent > 0, extent, 1.0)


def _dominates(one: Vector, other: Vector) -> bool:
    """Whether a vector is nowhere above another one and somewhere below it."""
    better = False
    for a, b in zip(one, other, strict=True):
        if a > b:
            return False
        better = better or a < b
    return better


def _close(value: float, reference: float) -> bool:
    """As ``numpy.isclose`` has it."""
    if value == reference:
        return True
    return math.isfinite(reference) and abs(value - reference) <= 1e-8 + 1e-5 * abs(reference)

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
        self._box: _Box | None = None
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
            self._box = _Box.of(corners, self._maximise)
            self._unjudged, self._alike = list(self._seen), self._pairs()
        if self._judge() or self._volume is None:
            self._volume = self._measured(corners)
        return self._volume

    def _pairs(self) -> set[tuple[int, int]]:
        """Pairs of objectives, the later one first, of which one might stand for both."""
        pairs = itertools.combinations(range(len(self._maximise)), 2)
        return {(b, a) for a, b in pairs if self._maximise[a] == self._maximise[b]}

    def _judge(self) -> bool:
        """Looks at what is new for objectives that differ; whether some do that did not before.

        Judged by everything seen: on a small front, two objectives may agree by chance.
        """
        if self._box is None:
            return False
        fresh, self._unjudged = self._unjudged, []
        before = len(self._alike)
        for vector in fresh:
            if not self._alike:
                break
            shares = self._box.shares(vector)
            self._alike = {(a, b) for a, b in self._alike if _close(shares[a], shares[b])}
        return len(self._alike) < before

    def _measured(self, corners: Corners) -> float:
        if not self._front:
            return 0.0
        front = np.array(self._front)
        if self._box is None:
            return hypervolume(front, minimised([corners.worst], self._maximise)[0])
        own: list[int] = []
        for column in self._box.scaled:
            if all((column, earlier) not in self._alike for earlier in own):
                own.append(column)
        if not own:
            return 0.0
        # Nothing counts for better than the best corner.
        shares = np.array([self._box.shares(vector) for vector in self._front])
        return hypervolume(np.clip(shares, 0.0, None)[:, own], np.ones(len(own)))


@dataclass(frozen=True, slots=True)
class _Box:
    """The box between two corners, in objectives that are minimised.

    Attributes:
        best: Its best corner.
        extent: Its length by objective; 1 where the corners agree.
        scaled: The objectives in which they do not.
    """

    best: Vector
    extent: Vector
    scaled: tuple[int, ...]

    @classmethod
    def of(cls, corners: Corners, maximise: Sequence[bool]) -> _Box | None:
        """``None`` where there is no best corner."""
        if corners.best is None:
            return None
        worst, best = minimised([corners.worst, corners.best], maximise)
        extent = worst - best
        lengths = np.where(extent > 0, extent, 1.0)
        return cls(
            tuple(best.tolist()),
            tuple(lengths.tolist()),
            tuple(np.flatnonzero(extent > 0).tolist()),
        )

    def shares(self, vector: Vector) -> list[float]:
        """A vector in shares of the box: 0 at its best corner, 1 at its worst."""
        return [(v - b) / e for v, b, e in zip(vector, self.best, self.extent, strict=True)]


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

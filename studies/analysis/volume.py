"""Hypervolume in a scale that people can read and that does not move while a search goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.pareto import hypervolume

__all__ = ["Corners", "Frontier", "minimised", "seen_corners"]


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

    Args:
        maximise: For each objective, whether more is better.
    """

    def __init__(self, maximise: Sequence[bool]) -> None:
        self._maximise = tuple(maximise)
        self._front: NDArray[np.float64] = np.empty((0, len(self._maximise)))
        self._unjudged: list[NDArray[np.float64]] = []
        self._seen: list[NDArray[np.float64]] = []
        self._corners: Corners | None = None
        self._apart = np.zeros((len(self._maximise),) * 2, dtype=np.bool_)
        self._volume: float | None = None

    def add(self, values: Sequence[float]) -> None:
        """Takes one vector in, in the objectives' own units."""
        vector = minimised([values], self._maximise)[0]
        self._seen.append(vector)
        self._unjudged.append(vector)
        if np.isnan(vector).any():
            raise ValueError(f"objective values must not be NaN: {values!r}")
        if not self._beats(vector):
            beaten = (self._front >= vector).all(axis=1) & (self._front > vector).any(axis=1)
            self._front = np.vstack([self._front[~beaten], vector])
            self._volume = None

    def __len__(self) -> int:
        """Number of vectors on the front; equal ones count each."""
        return len(self._front)

    def dominates(self, values: Sequence[float]) -> bool:
        """Whether a vector of the front is nowhere worse than ``values`` and somewhere better."""
        return self._beats(minimised([values], self._maximise)[0])

    def _beats(self, vector: NDArray[np.float64]) -> bool:
        no_worse = (self._front <= vector).all(axis=1)
        better = (self._front < vector).any(axis=1)
        return bool((no_worse & better).any())

    def volume(self, corners: Corners) -> float:
        """Hypervolume of the front.

        In a box, an objective that is a multiple of an earlier one (CO₂ under a constant
        intensity) is left out: it would count the same gain twice. One whose corners agree cannot
        be scaled and is left out as well; in a box without any extent the volume is 0.
        """
        if corners != self._corners:
            self._corners, self._volume = corners, None
            self._unjudged, self._apart[:] = list(self._seen), False
        if self._judge(corners) or self._volume is None:
            self._volume = self._measured(corners)
        return self._volume

    def _judge(self, corners: Corners) -> bool:
        """Looks at what is new for objectives that differ; whether some do that did not before.

        Judged by everything seen: on a small front, two objectives may agree by chance.
        """
        if corners.best is None or not self._unjudged:
            return False
        _, best, extent = self._box(corners, corners.best)
        shares = (np.array(self._unjudged) - best) / extent
        self._unjudged.clear()
        apart = ~np.isclose(shares[:, :, None], shares[:, None, :]).all(axis=0)
        fresh = bool((apart & ~self._apart).any())
        self._apart |= apart
        return fresh

    def _measured(self, corners: Corners) -> float:
        if not len(self._front):
            return 0.0
        if corners.best is None:
            return hypervolume(self._front, minimised([corners.worst], self._maximise)[0])
        scaled, best, extent = self._box(corners, corners.best)
        own: list[int] = []
        for column in np.flatnonzero(scaled).tolist():
            alike = [n for n in own if self._maximise[n] == self._maximise[column]]
            if all(self._apart[column, n] for n in alike):
                own.append(column)
        if not own:
            return 0.0
        # Nothing counts for better than the best corner.
        shares = np.clip((self._front - best) / extent, 0.0, None)[:, own]
        return hypervolume(shares, np.ones(len(own)))

    def _box(
        self, corners: Corners, best: tuple[float, ...]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
        """Which objectives can be scaled, the best corner, and the extent."""
        low = minimised([best], self._maximise)[0]
        extent = minimised([corners.worst], self._maximise)[0] - low
        return extent > 0, low, np.where(extent > 0, extent, 1.0)

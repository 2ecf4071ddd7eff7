"""Dominance and hypervolume of objective vectors. All functions minimise and change no argument.

Rows are vectors, columns objectives. NaN is refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["hypervolume", "non_dominated", "ranks"]


def _matrix(values: ArrayLike) -> NDArray[np.float64]:
    matrix = np.array(values, dtype=np.float64, ndmin=2)
    if matrix.ndim != 2 or np.isnan(matrix).any():
        raise ValueError(f"objective values must be a matrix without NaN, not {values!r}")
    return matrix


def non_dominated(values: ArrayLike) -> NDArray[np.bool_]:
    """Marks the rows that no other row dominates; equal rows are all kept.

    Args:
        values: ``[n, objectives]``, smaller is better.

    Returns:
        Boolean mask ``[n]``.

    Raises:
        ValueError: A value is NaN.
    """
    matrix = _matrix(values)
    if matrix.size == 0:
        return np.zeros(0, dtype=np.bool_)
    # Each row in turn strikes out what it dominates, so that few are left to take a turn; in this
    # order what dominates a row comes before it.
    left = np.lexsort(matrix.T)
    turn = 0
    while turn < len(left):
        row, others = matrix[left[turn]], matrix[left]
        beaten = (row <= others).all(axis=1) & (row < others).any(axis=1)
        left = left[~beaten]
        turn += 1
    keep = np.zeros(len(matrix), dtype=np.bool_)
    keep[left] = True
    return keep


def ranks(values: ArrayLike) -> NDArray[np.int64]:
    """Non-domination rank of each row: 0 for the front, 1 for the front without it, and so on.

    Source: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002.
    """
    matrix = _matrix(values)
    result = np.full(len(matrix) if matrix.size else 0, -1, dtype=np.int64)
    rank = 0
    while (result < 0).any():
        left = np.flatnonzero(result < 0)
        result[left[non_dominated(matrix[left])]] = rank
        rank += 1
    return result


def hypervolume(values: ArrayLike, reference: ArrayLike) -> float:
    """Volume that the rows dominate below the reference point.

    Exact, by slicing along the last objective (Zitzler and Thiele, 1998); meant for two to four
    objectives and fronts of up to a few hundred points.

    Args:
        values: ``[n, objectives]``, smaller is better; rows not below the reference add nothing.
        reference: ``[objectives]``.

    Returns:
        The volume in the product of the objectives' units; 0 for no rows.

    Raises:
        ValueError: A value is NaN, or the widths differ.
    """
    bound = np.array(reference, dtype=np.float64, ndmin=1)
    matrix = _matrix(values)
    if matrix.size == 0:
        return 0.0
    if matrix.shape[1] != len(bound) or np.isnan(bound).any():
        raise ValueError(f"reference {reference!r} must have {matrix.shape[1]} numbers, none NaN")
    inside = matrix[(matrix < bound).all(axis=1)]
    return _volume(inside[non_dominated(inside)], bound) if len(inside) else 0.0


def _volume(front: NDArray[np.float64], bound: NDArray[np.float64]) -> float:
    if front.shape[1] == 1:
        return float(bound[0] - front.min())
    if front.shape[1] == 2:
        ordered = front[np.argsort(front[:, 0], kind="stable")]
        # Each point adds the strip between its height and the lowest height so far.
        floor = np.minimum.accumulate(np.concatenate(([bound[1]], ordered[:, 1])))
        return float(((bound[0] - ordered[:, 0]) * (floor[:-1] - floor[1:])).sum())
    ordered = front[np.argsort(front[:, -1], kind="stable")]
    depths = np.append(ordered[1:, -1], bound[-1]) - ordered[:, -1]
    volume = 0.0
    for index, depth in enumerate(depths):
        if depth > 0:
            slab = ordered[: index + 1, :-1]
            volume += depth * _volume(slab[non_dominated(slab)], bound[:-1])
    return volume

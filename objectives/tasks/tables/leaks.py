"""Features that give the answer away."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.tables.values import Levels, Values

__all__ = ["leaks_target"]

_MOST_ROWS = 5000
_ERRORS = 0.01
"""Share of what the most frequent class gets wrong that a feature alone may get wrong."""
_ROWS_A_VALUE = 5
_LEAST_ROWS = 20


def leaks_target(column: Values, labels: NDArray[Any]) -> bool:
    """Whether one column alone tells nearly every class, or orders nearly every number.

    Args:
        column: The feature.
        labels: Of all rows, of any type that sorts.
    """
    rows = np.random.default_rng(0).permutation(len(labels))[:_MOST_ROWS]
    if len(rows) < _LEAST_ROWS:
        return False
    answers = np.unique(labels[rows], return_inverse=True)[1]
    cells = column.codes[rows][:, None] if isinstance(column, Levels) else column.values[rows]
    if labels.dtype.kind == "f":
        return any(_orders(values, answers) for values in cells.T)
    return any(_tells(values, answers) for values in cells.T)


def _tells(values: NDArray[Any], answers: NDArray[np.int64]) -> bool:
    by_chance = len(answers) - int(np.bincount(answers).max())
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(values) >= _ROWS_A_VALUE * len(counts):
        table = np.zeros((len(counts), answers.max() + 1), dtype=np.int64)
        np.add.at(table, (places, answers), 1)
        wrong = len(answers) - int(table.max(axis=1).sum())
    else:
        # A value seldom comes twice: is the next greater one of the same class?
        order = np.argsort(values, kind="stable")
        changes = int(np.count_nonzero(np.diff(answers[order])))
        wrong = max(0, changes - int(answers.max()))
    return by_chance > 0 and wrong <= _ERRORS * by_chance


def _orders(values: NDArray[np.float64], answers: NDArray[np.int64]) -> bool:
    ranks = np.unique(values, return_inverse=True)[1]
    if ranks.max() == 0 or answers.max() == 0:
        return False
    return abs(float(np.corrcoef(ranks, answers)[0, 1])) > 1 - _ERRORS / 10

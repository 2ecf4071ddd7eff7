"""Standardising features and channels with the statistics of the training examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError

__all__ = ["counts_of_unusable", "in_words", "standardise"]

_NAMED = 8
_ROWS = 4096
"""Examples that are standardised at a time: in float64 all of them would take twice the result."""


def in_words(counts: dict[str, int]) -> str:
    """Counts for a message, the first few of them: ``2 in a, 1 in b``."""
    named = [f"{count} in {name}" for name, count in list(counts.items())[:_NAMED]]
    rest = len(counts) - len(named)
    return ", ".join(named) + (f" and some in {rest} more" if rest else "")


def counts_of_unusable(values: NDArray[Any], names: Sequence[str]) -> str:
    """Counts NaN and infinite values by feature or channel, in words; ``""`` for none."""
    if values.dtype.kind in "biu":
        return ""
    counts = {
        name: int(np.count_nonzero(~np.isfinite(values[:, index])))
        for index, name in enumerate(names)
    }
    return in_words({name: count for name, count in counts.items() if count})


def standardise(
    values: NDArray[Any], train: NDArray[np.int64], *, names: Sequence[str], source: str
) -> NDArray[np.float32]:
    """Scales each feature or channel to mean 0 and standard deviation 1 over some examples.

    A feature that is constant over them becomes 0. Names and source are for messages.

    Returns:
        All examples, in the same shape; no NaN.

    Raises:
        DataError: If a standardised value is too large for float32.
    """
    result = np.zeros(values.shape, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for index in range(values.shape[1]):
            column = values[:, index]
            fitted = column[train]
            deviation = fitted.std(dtype=np.float64)
            # Rounding in the mean gives constant features a tiny deviation; their range is exact.
            if deviation > 0 and fitted.min() != fitted.max():
                mean = fitted.mean(dtype=np.float64)
                for first in range(0, len(column), _ROWS):
                    rows = slice(first, first + _ROWS)
                    result[rows, index] = (column[rows] - mean) / deviation
    unusable = counts_of_unusable(result, names)
    if unusable:
        raise DataError(
            f"{source}: standardised values must stay within float32, but too large are "
            f"{unusable}: rescale or clip these values, or leave the feature out"
        )
    return result

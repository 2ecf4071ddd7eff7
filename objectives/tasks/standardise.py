"""Standardising features and channels with the statistics of the training examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError

__all__ = [
    "Scale",
    "check_scaled",
    "counts_of_unusable",
    "factors_of_pixels",
    "in_words",
    "is_pixels",
    "scales_of",
    "standardise",
]

_NAMED = 8
_ROWS = 4096
"""Examples that are standardised at a time: in float64 all of them would take twice the result."""

LEAST_DEVIATION = 16.0
"""Grey levels. Above, rounding the mean moves pixels by less than 1/32 of their deviation."""


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


@dataclass(frozen=True, slots=True)
class Scale:
    """What a feature or channel is standardised with.

    Attributes:
        mean: Over the training examples.
        deviation: Standard deviation over them; 0 for a constant, which becomes 0.
    """

    mean: float
    deviation: float

    @classmethod
    def of(cls, fitted: NDArray[Any]) -> Self:
        """The scale of some examples' values, of any shape."""
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = float(fitted.std(dtype=np.float64))
            # Rounding in the mean gives constants a tiny deviation; their range is exact.
            if not deviation > 0 or fitted.min() == fitted.max():
                return cls(0.0, 0.0)
            return cls(float(fitted.mean(dtype=np.float64)), deviation)

    def into(self, result: NDArray[np.float32], values: NDArray[Any]) -> None:
        """Writes scaled values; infinite ones where they are too large for float32."""
        if self.deviation == 0:
            result[:] = 0
            return
        # As NumPy's scalars, with which float32 values are computed in float64.
        mean, deviation = np.float64(self.mean), np.float64(self.deviation)
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, len(values), _ROWS):
                rows = slice(first, first + _ROWS)
                result[rows] = (values[rows] - mean) / deviation


def is_pixels(shape: Sequence[int], dtype: str | np.dtype[Any]) -> bool:
    """Whether examples of this shape, ``[channels, height, width]``, are images of 8 bits."""
    return len(shape) == 3 and np.dtype(dtype) == np.uint8


def scales_of(values: NDArray[Any], train: NDArray[np.int64]) -> tuple[Scale, ...]:
    """One for each feature or channel, learnt from some examples.

    Pixels of 8 bits, ``uint8 [n, channels, height, width]``, are centred by a whole mean, so that
    one operator, ONNX's ``DequantizeLinear``, makes inputs of them.
    """
    scales = tuple(Scale.of(values[train, place]) for place in range(values.shape[1]))
    if is_pixels(values.shape[1:], values.dtype):
        centred = tuple(replace(scale, mean=float(round(scale.mean))) for scale in scales)
        if factors_of_pixels(centred) is not None:
            return centred
    return scales


def factors_of_pixels(scales: Sequence[Scale]) -> NDArray[np.float32] | None:
    """What pixels less their whole means are multiplied by, ``[channels]``; 0 where constant.

    ``None``: They are scaled as other numbers are, in float64, since a whole mean is too coarse.
    """
    coarse = (0 < scale.deviation < LEAST_DEVIATION for scale in scales)
    if any(coarse) or not all(scale.mean.is_integer() for scale in scales):
        return None
    factors = [1 / scale.deviation if scale.deviation else 0.0 for scale in scales]
    return np.array(factors, dtype=np.float32)


def standardise(
    values: NDArray[Any], train: NDArray[np.int64], *, names: Sequence[str], source: str
) -> NDArray[np.float32]:
    """Scales each feature or channel to mean 0 and standard deviation 1 over some examples.

    A feature that is constant over them becomes 0. Pixels come close: see :func:`scales_of`. Names
    and source are for messages.

    Returns:
        All examples, in the same shape; no NaN.

    Raises:
        DataError: If a standardised value is too large for float32.
    """
    result = np.empty(values.shape, dtype=np.float32)
    scales = scales_of(values, train)
    pixels = is_pixels(values.shape[1:], values.dtype)
    factors = factors_of_pixels(scales) if pixels else None
    for index, scale in enumerate(scales):
        if factors is None:
            scale.into(result[:, index], values[:, index])
        else:
            np.subtract(values[:, index], np.float32(scale.mean), out=result[:, index])
            result[:, index] *= factors[index]
    check_scaled(result, names, source)
    return result


def check_scaled(scaled: NDArray[np.float32], names: Sequence[str], source: str) -> None:
    """Refuses values that are too large for float32.

    Raises:
        DataError: There are some.
    """
    unusable = counts_of_unusable(scaled, names)
    if unusable:
        raise DataError(
            f"{source}: standardised values must stay within float32, but too large are "
            f"{unusable}: rescale or clip these values, or leave the feature out"
        )

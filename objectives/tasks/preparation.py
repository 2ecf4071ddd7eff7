"""Making inputs of raw examples, as whoever uses a model does for each prediction.

A search encodes all examples once, before it begins. What that costs is part of every answer of a
delivered model, so it is measured on raw examples of the validation split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.standardise import Scale

__all__ = ["MOST_EXAMPLES", "ArrayPreparation", "Preparable", "Preparation"]

MOST_EXAMPLES = 256
"""Raw examples that are kept for measuring: enough for what they cost, few enough for memory."""


class Preparation(Protocol):
    """Raw examples, and what makes inputs of them, learnt from the training split."""

    def __len__(self) -> int:
        """Number of raw examples."""
        ...

    def inputs(self, rows: slice) -> NDArray[Any]:
        """The inputs of some of them, as a task holds them."""
        ...


@runtime_checkable
class Preparable(Protocol):
    """Inputs that are kept raw, too."""

    def preparation(self, train: NDArray[np.int64], rows: NDArray[np.int64]) -> Preparation:
        """What makes inputs of some raw examples.

        Args:
            train: Indices of the training examples, the only ones learnt from.
            rows: Indices of the examples.
        """
        ...


@dataclass(frozen=True, slots=True)
class ArrayPreparation:
    """Numbers that are standardised.

    Attributes:
        values: Raw examples ``[n, features]`` or ``[n, channels, height, width]`` of any type.
        means: Of each feature or channel, in a shape that broadcasts to an example.
        scales: One over the deviations, 0 for what is constant; like ``means``.
    """

    values: NDArray[Any]
    means: NDArray[Any]
    scales: NDArray[Any]

    @classmethod
    def learnt(
        cls, values: NDArray[Any], train: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> Self:
        """Of all raw values, those of ``rows``, with the statistics of ``train``."""
        places = values.shape[1]
        # By column: a copy of all training examples may be large.
        learnt = [Scale.of(values[train, place]) for place in range(places)]
        exact = np.result_type(values.dtype, np.float32)
        means = np.array([scale.mean for scale in learnt], dtype=exact)
        scales = np.array([1 / s.deviation if s.deviation else 0 for s in learnt], dtype=exact)
        shape = (places, *[1] * (values.ndim - 2))
        return cls(values[rows], means.reshape(shape), scales.reshape(shape))

    def __len__(self) -> int:
        return len(self.values)

    def inputs(self, rows: slice) -> NDArray[np.float32]:
        """Standardises some examples, float32."""
        found: NDArray[Any] = (self.values[rows] - self.means) * self.scales
        return found.astype(np.float32, copy=False)

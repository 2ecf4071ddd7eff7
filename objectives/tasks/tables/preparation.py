"""Rows of a table as a deployed model gets them, one at a time, and what makes inputs of them.

The same as :class:`~greenfront.objectives.tasks.tables.preprocessing.Preprocessing`, laid out for
few rows at once: one operation for all numbers, one look-up a category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.tables.cells import MISSING
from greenfront.objectives.tasks.tables.preprocessing import NumberStep, Preprocessing
from greenfront.objectives.tasks.tables.values import Levels, Numbers, Values

__all__ = ["TablePreparation"]


@dataclass(frozen=True, slots=True)
class TablePreparation:
    """Raw rows and what is done with them; see :class:`Preparation`.

    Attributes:
        numbers: float64 ``[n, numbers]``, NaN where missing.
        texts: Of each row, the text of each category; ``None`` where missing.
        fills: What stands in for a missing number, ``[numbers]``.
        means: Of each number, ``[numbers]``.
        scales: One over the deviation of each number, 0 for a constant, ``[numbers]``.
        places: Of each category, from its texts (and ``None``) to the input that becomes 1.
        said: Numbers whose absence is an input of its own: index of the number, and the input.
        said_of_texts: The same of categories.
        width: Number of inputs.
    """

    numbers: NDArray[np.float64]
    texts: Sequence[tuple[str | None, ...]]
    fills: NDArray[np.float64]
    means: NDArray[np.float64]
    scales: NDArray[np.float64]
    places: Sequence[Mapping[str | None, int]]
    said: tuple[NDArray[np.int64], NDArray[np.int64]]
    said_of_texts: Sequence[tuple[int, int]]
    width: int

    @classmethod
    def of(
        cls, preprocessing: Preprocessing, columns: Sequence[Values], rows: NDArray[np.int64]
    ) -> Self:
        """Lays out fitted steps for some rows of the columns, which stand in their order."""
        numbers = [c.values[rows] for c in columns if isinstance(c, Numbers)]
        texts = [_texts(c, rows) for c in columns if isinstance(c, Levels)]
        fills: list[float] = []
        means: list[float] = []
        scales: list[float] = []
        places: list[dict[str | None, int]] = []
        said: list[tuple[int, int]] = []
        said_of_texts: list[tuple[int, int]] = []
        place = sum(len(step.names) for step in preprocessing.steps)
        behind, first = place, 0
        for step in preprocessing.steps:
            told = said if isinstance(step, NumberStep) else said_of_texts
            if step.indicator:
                told.append((len(fills) if isinstance(step, NumberStep) else len(places), behind))
                behind += 1
            if isinstance(step, NumberStep):
                fills += step.fills
                means += [scale.mean for scale in step.scales]
                scales += [1 / s.deviation if s.deviation else 0.0 for s in step.scales]
            else:
                known: dict[str | None, int] = {
                    level: first + index for index, level in enumerate(step.levels)
                }
                if step.fill in known:
                    known[None] = known[step.fill]
                places.append(known)
            first += len(step.names)
        pairs = np.array(said, dtype=np.int64).reshape(-1, 2)
        return cls(
            numbers=np.concatenate([np.empty((len(rows), 0)), *numbers], axis=1),
            texts=list(zip(*texts, strict=True)) if texts else [()] * len(rows),
            fills=np.array(fills),
            means=np.array(means),
            scales=np.array(scales),
            places=places,
            said=(pairs[:, 0], pairs[:, 1]),
            said_of_texts=said_of_texts,
            width=behind,
        )

    def __len__(self) -> int:
        return len(self.texts)

    def inputs(self, rows: slice) -> NDArray[np.float32]:
        """Imputes, standardises and looks up some rows, float32 ``[n, width]``."""
        numbers = self.numbers[rows]
        missing = np.isnan(numbers)
        found = np.zeros((len(numbers), self.width), dtype=np.float32)
        filled = np.where(missing, self.fills, numbers)
        found[:, : len(self.fills)] = (filled - self.means) * self.scales
        columns, inputs = self.said
        if len(inputs):
            found[:, inputs] = missing[:, columns]
        for row, texts in enumerate(self.texts[rows] if self.places else ()):
            for known, text in zip(self.places, texts, strict=True):
                if (place := known.get(text)) is not None:
                    found[row, place] = 1
            for index, place in self.said_of_texts:
                found[row, place] = texts[index] is None
        return found


def _texts(column: Levels, rows: NDArray[np.int64]) -> list[str | None]:
    codes = column.codes[rows].tolist()
    return [None if code == MISSING else column.levels[code] for code in codes]

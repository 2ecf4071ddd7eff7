"""How the texts of a column become numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.tables.dates import PARTS, parse_dates
from greenfront.objectives.tasks.tables.numbers import NumberStyle, parse_numbers

__all__ = ["Reading"]

_TRUTHS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Reading:
    """How the texts of a column become numbers.

    Attributes:
        kind: ``"date"`` gives several numbers, the others one.
        style: Of numbers.
        form: Of dates: ``ISO 8601`` or a format of ``strptime``.
        parts: Of dates: which of ``PARTS`` are used.
    """

    kind: Literal["number", "boolean", "date"]
    style: NumberStyle = "point"
    form: str = ""
    parts: tuple[str, ...] = ()

    def numbers(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """The numbers of each text, ``[len(texts), 1 or len(parts)]``; NaN for what is none."""
        if self.kind == "date":
            return parse_dates(texts, self.form)[:, [PARTS.index(part) for part in self.parts]]
        if self.kind == "number":
            return parse_numbers(texts, self.style)[:, None]
        return np.array([[_TRUTHS.get(text.lower(), np.nan)] for text in texts]).reshape(-1, 1)

    def names(self, column: str) -> tuple[str, ...]:
        """A name for each number."""
        return tuple(f"{column}: {part}" for part in self.parts) or (column,)

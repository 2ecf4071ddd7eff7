"""What a search has spent, and the hypervolume that its complete trainings had by then."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.pareto import hypervolume

__all__ = ["Ledger"]


@dataclass
class Ledger:
    """Charges every training; only whole ones enter the front.

    Attributes:
        reference: Of the hypervolume.
        spent: Energy so far.
        curve: Energy and hypervolume after each whole training.
    """

    reference: tuple[float, ...]
    spent: float = 0.0
    curve: list[tuple[float, float]] = field(default_factory=list)
    _values: list[NDArray[np.float64]] = field(default_factory=list)

    def charge(self, energy: float) -> None:
        self.spent += energy

    def add(self, values: NDArray[np.float64]) -> None:
        self._values.append(values)
        self.curve.append((self.spent, hypervolume(np.array(self._values), self.reference)))

    @property
    def volume(self) -> float:
        return self.curve[-1][1] if self.curve else 0.0

    def energy_to(self, volume: float) -> float:
        """Energy by which a hypervolume was reached; infinite if it never was."""
        return next((spent for spent, reached in self.curve if reached >= volume), np.inf)

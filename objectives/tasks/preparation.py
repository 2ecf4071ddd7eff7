"""Raw examples as whoever uses a model has them.

A search encodes all examples once, before it begins. What that costs is part of every answer of a
delivered model, so it is measured on raw examples of the validation split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from greenfront.objectives.tasks.recipe import ArrayRecipe, TableRecipe

__all__ = ["MOST_EXAMPLES", "Preparation"]

MOST_EXAMPLES = 256
"""Raw examples that are kept for measuring: enough for what they cost, few enough for memory."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """Raw examples, and what makes inputs of them, learnt from the training split.

    Attributes:
        recipe: What makes inputs.
        raw: The examples by the names of a file's inputs, ``[n, …]`` each.
    """

    recipe: TableRecipe | ArrayRecipe
    raw: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.raw.values())))

    def feed(self, rows: slice) -> dict[str, NDArray[Any]]:
        """What a file takes for some of them."""
        return {name: values[rows] for name, values in self.raw.items()}

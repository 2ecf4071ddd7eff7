"""A task's data as users have them, beside what was made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.pipeline.model_factory import family_of
from greenfront.objectives.tasks.load import read_raw
from greenfront.objectives.tasks.raw import Inputs
from greenfront.objectives.tasks.recipe import Recipe, TextRecipe, recipe_of
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.split import SplitRows, split_rows
from greenfront.objectives.tasks.task import Split
from greenfront.spaces.architectures.architecture import Encoder
from greenfront.spaces.candidate import Candidate

__all__ = ["Feed", "RawData"]

Feed = Mapping[str, NDArray[Any]]
"""Inputs of a file by their names."""


@dataclass(frozen=True, slots=True)
class RawData:
    """Raw examples for one model.

    Attributes:
        inputs: All rows.
        split: Which row is in which split.
        recipe: What makes inputs of them.
        encoder: Numbers the tokens of texts; ``None`` for other data.
    """

    inputs: Inputs
    split: SplitRows
    recipe: Recipe
    encoder: Encoder | None

    @classmethod
    def read(
        cls, settings: TaskSettings, candidate: Candidate, *, cache: Path, seed: int
    ) -> RawData:
        """Reads them as the task did, for a candidate's family.

        Raises:
            DataError: They cannot be read.
        """
        raw = read_raw(settings, cache=cache)
        split = split_rows(raw, settings, seed=seed)
        train = split.indices["train"]
        recipe: Recipe | None = recipe_of(raw.inputs, train)
        if recipe is not None:
            return cls(raw.inputs, split, recipe, None)
        family, shape = family_of(candidate), dict(candidate.architecture.shape)
        texts = raw.inputs.encode(train)
        encoder = family.encoder(shape, texts[train])
        column = settings.text_column or "text"
        recipe = TextRecipe(int(family.padding or 0), int(shape["length"]), column)
        return cls(raw.inputs, split, recipe, encoder)

    def feed(self, rows: NDArray[np.int64]) -> Feed:
        """What a file takes for some rows."""
        return self.feeder(rows)(slice(0, len(rows)))

    def feeder(self, rows: NDArray[np.int64]) -> Callable[[slice], Feed]:
        """Makes what a file takes of some of these rows, at each call.

        Tokens are numbered in the call; other raw values lie ready, as they do for users.
        """
        if isinstance(self.recipe, TextRecipe):
            texts = self.inputs.encode(rows)[rows]
            encoder = self.encoder
            assert encoder is not None
            return lambda some: {"ids": encoder(texts[some])}
        whole = self.recipe.raw(self.inputs, rows)
        return lambda some: {name: values[some] for name, values in whole.items()}

    def rows(self, split: Split) -> NDArray[np.int64]:
        """Those of a split, in the order in which the task has them."""
        return self.split.indices[split]

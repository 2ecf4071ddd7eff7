"""What was learnt of the training split to make inputs of raw examples: plain numbers and texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.raw import ArrayInputs, Inputs, Pictures
from greenfront.objectives.tasks.standardise import Scale, is_pixels, scales_of
from greenfront.objectives.tasks.tables.cells import MISSING
from greenfront.objectives.tasks.tables.inputs import TableInputs
from greenfront.objectives.tasks.tables.preprocessing import CategoryStep, NumberStep
from greenfront.objectives.tasks.tables.values import Levels, Numbers

__all__ = [
    "NUMBERS",
    "TEXTS",
    "ArrayRecipe",
    "Recipe",
    "TableRecipe",
    "TextRecipe",
    "recipe_of",
]

NUMBERS, TEXTS = "numbers", "texts"
"""Inputs of a table's file: all numbers, and all categories."""

Step = TypeVar("Step", NumberStep, CategoryStep)


@dataclass(frozen=True, slots=True)
class TableRecipe:
    """Of a table.

    Attributes:
        columns: What is done with each; those of numbers first.
    """

    columns: tuple[NumberStep | CategoryStep, ...]

    def steps(self, kind: type[Step]) -> list[Step]:
        """Those of one kind, in their order."""
        return [step for step in self.columns if isinstance(step, kind)]

    @property
    def names(self) -> dict[str, list[str]]:
        """What the columns of each input of a file are: of a date each of its parts."""
        numbers = [name for step in self.steps(NumberStep) for name in step.names]
        texts = [step.column for step in self.steps(CategoryStep)]
        return {name: told for name, told in ((NUMBERS, numbers), (TEXTS, texts)) if told}

    def raw(self, inputs: Inputs, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Raw values of some rows by the names of a file's inputs, ``[n, columns]``."""
        assert isinstance(inputs, TableInputs)
        numbers = [each.values[rows] for each in inputs.columns if isinstance(each, Numbers)]
        texts = [_texts(each)[rows] for each in inputs.columns if not isinstance(each, Numbers)]
        found: dict[str, NDArray[Any]] = {}
        if numbers:
            found[NUMBERS] = np.concatenate(numbers, axis=1)
        if texts:
            found[TEXTS] = np.stack(texts, axis=1)
        return found


@dataclass(frozen=True, slots=True)
class ArrayRecipe:
    """Of numbers without names.

    Attributes:
        shape: Of one example: ``[features]`` or ``[channels, height, width]``.
        dtype: Of the raw values.
        scales: One a feature or channel.
        pictures: What was learnt of image files; ``None`` where the values were pixels already.
    """

    shape: tuple[int, ...]
    dtype: str
    scales: tuple[Scale, ...]
    pictures: Pictures | None = None

    @property
    def is_pixels(self) -> bool:
        """Whether they are images of 8 bits."""
        return is_pixels(self.shape, self.dtype)

    @property
    def resizes(self) -> bool:
        """Whether a file takes images of other sizes, too."""
        return self.is_pixels and self.pictures is not None

    @property
    def name(self) -> str:
        """Of the file's input."""
        if self.is_pixels:
            return "image"
        return "features" if len(self.shape) == 1 else "values"

    def raw(self, inputs: Inputs, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Raw values of some examples by the name of a file's input."""
        assert isinstance(inputs, ArrayInputs)
        values = inputs.values[rows]
        if self.is_pixels:
            return {self.name: np.ascontiguousarray(values.transpose(0, 2, 3, 1))}
        return {self.name: values.astype(np.float64)}


@dataclass(frozen=True, slots=True)
class TextRecipe:
    """Of texts: the tokenizer is a file, made for one family of networks.

    Attributes:
        padding: Number of the token that fills short texts up.
        length: Tokens of a text, at most.
        column: Of a table of texts.
    """

    padding: int
    length: int
    column: str = "text"


Recipe = TableRecipe | ArrayRecipe | TextRecipe


def recipe_of(inputs: Inputs, train: NDArray[np.int64]) -> TableRecipe | ArrayRecipe | None:
    """What the training rows teach about raw inputs; ``None`` for texts."""
    if isinstance(inputs, TableInputs):
        return TableRecipe(inputs.fit(train).steps)
    if isinstance(inputs, ArrayInputs):
        values, scales = inputs.values, scales_of(inputs.values, train)
        return ArrayRecipe(tuple(values.shape[1:]), values.dtype.name, scales, inputs.pictures)
    return None


def _texts(column: Levels) -> NDArray[Any]:
    texts = np.array([*column.levels, ""], dtype=object)
    return texts[np.where(column.codes == MISSING, len(column.levels), column.codes)]

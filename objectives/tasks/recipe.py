"""What was learnt of the training split to make inputs of raw examples: plain numbers and texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.raw import ArrayInputs, Inputs
from greenfront.objectives.tasks.standardise import Scale
from greenfront.objectives.tasks.tables.cells import MISSING
from greenfront.objectives.tasks.tables.inputs import TableInputs
from greenfront.objectives.tasks.tables.preprocessing import (
    CategoryStep,
    NumberStep,
    Preprocessing,
)
from greenfront.objectives.tasks.tables.values import Numbers

__all__ = ["ArrayRecipe", "Recipe", "TableColumn", "TableRecipe", "TextRecipe", "recipe_of"]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table and the names under which a file takes it.

    Attributes:
        step: What is done with it.
        inputs: One name a number: the column's, or of a date one for each of its parts.
    """

    step: NumberStep | CategoryStep
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableRecipe:
    """Of a table.

    Attributes:
        columns: Those of numbers first.
    """

    columns: tuple[TableColumn, ...]

    @classmethod
    def of(cls, preprocessing: Preprocessing) -> TableRecipe:
        """Names the inputs; no two are equal, whatever columns are called."""
        taken = {step.column for step in preprocessing.steps}
        columns = []
        for step in preprocessing.steps:
            names = step.names if isinstance(step, NumberStep) else (step.column,)
            if names != (step.column,):
                names = tuple(_free(name, taken) for name in names)
            columns.append(TableColumn(step, names))
        return cls(tuple(columns))

    @property
    def preprocessing(self) -> Preprocessing:
        """The steps."""
        return Preprocessing(tuple(column.step for column in self.columns))

    def raw(self, inputs: Inputs, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Raw values of some rows by the names of a file's inputs, each ``[n, 1]``."""
        assert isinstance(inputs, TableInputs)
        found: dict[str, NDArray[Any]] = {}
        for column, values in zip(self.columns, inputs.columns, strict=True):
            if isinstance(values, Numbers):
                parts = values.values[rows].T
                found |= {n: part[:, None] for n, part in zip(column.inputs, parts, strict=True)}
            else:
                texts = np.array([*values.levels, ""], dtype=object)
                codes = np.where(values.codes == MISSING, len(values.levels), values.codes)
                found[column.inputs[0]] = texts[codes[rows]][:, None]
        return found


@dataclass(frozen=True, slots=True)
class ArrayRecipe:
    """Of numbers without names.

    Attributes:
        shape: Of one example: ``[features]`` or ``[channels, height, width]``.
        dtype: Of the raw values.
        scales: One a feature or channel.
    """

    shape: tuple[int, ...]
    dtype: str
    scales: tuple[Scale, ...]

    @property
    def is_pixels(self) -> bool:
        """Whether they are images of 8 bits."""
        return len(self.shape) == 3 and self.dtype == "uint8"

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
        return TableRecipe.of(inputs.fit(train))
    if isinstance(inputs, ArrayInputs):
        values = inputs.values
        scales = tuple(Scale.of(values[train, place]) for place in range(values.shape[1]))
        return ArrayRecipe(tuple(values.shape[1:]), values.dtype.name, scales)
    return None


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{name}_"
    taken.add(name)
    return name

"""What makes raw inputs into the inputs of a model, as operators of ONNX.

Each computes exactly what the preprocessing of a task computes, number for number, in double
precision where that does. Only images of another size than the model's are resized by the runtime's
own arithmetic, which may differ from Pillow's by :data:`RESIZED_WITHIN` of 256 grey levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from greenfront.objectives.packaging.piece import ML, Piece
from greenfront.objectives.tasks.recipe import ArrayRecipe, TableColumn, TableRecipe, TextRecipe
from greenfront.objectives.tasks.standardise import Scale
from greenfront.objectives.tasks.tables.preprocessing import CategoryStep, NumberStep

__all__ = ["RESIZED_WITHIN", "array_inlet", "table_inlet", "text_inlet"]

RESIZED_WITHIN = 2
"""Both average with the same triangle, the one with weights of 24 bits, the other of 53."""


def table_inlet(recipe: TableRecipe, prefix: str, target: str) -> Piece:
    """Imputes, standardises and looks up the columns of a table.

    Numbers are ``double [n, 1]`` each, NaN where missing, and categories ``string [n, 1]``, empty
    where missing.

    Args:
        recipe: What was learnt of the columns.
        prefix: Of the names that are made here.
        target: Name of the result, float32 ``[n, inputs]``.
    """
    piece = Piece(prefix)
    numbers = [column for column in recipe.columns if isinstance(column.step, NumberStep)]
    texts = [column for column in recipe.columns if isinstance(column.step, CategoryStep)]
    for column, kind in (
        *((column, TensorProto.DOUBLE) for column in numbers),
        *((column, TensorProto.STRING) for column in texts),
    ):
        piece.inputs += [
            helper.make_tensor_value_info(name, kind, ["n", 1]) for name in column.inputs
        ]
    made, told = [], []
    for columns, part in ((numbers, _numbers), (texts, _texts)):
        if columns:
            inputs, missing = part(piece, columns)
            made += inputs
            told += missing
    piece.joined([*made, *told], named=target)
    return piece


def array_inlet(recipe: ArrayRecipe, prefix: str, target: str) -> Piece:
    """Standardises features or channels.

    Pixels are ``uint8 [n, height, width, channels]`` of any size and are resized first. Other
    numbers are ``double`` in the shape that they were learnt in.

    Args:
        recipe: What was learnt.
        prefix: Of the names that are made here.
        target: Name of the result, float32 ``[n, …]``.
    """
    piece = Piece(prefix)
    if recipe.is_pixels:
        channels, height, width = recipe.shape
        shape: list[int | str] = ["n", "height", "width", channels]
        last, kind = "image", TensorProto.UINT8
        piece.inputs.append(helper.make_tensor_value_info(last, kind, shape))
        last = piece.add("Transpose", last, perm=[0, 3, 1, 2])
        head = piece.add("Shape", last, end=2)
        edges = piece.constant("edges", np.array([height, width], dtype=np.int64))
        last = piece.add(
            *("Resize", last, "", "", piece.add("Concat", head, edges, axis=0)),
            mode="linear",
            antialias=1,
            coordinate_transformation_mode="half_pixel",
            exclude_outside=1,
        )
        last = piece.add("Cast", last, to=TensorProto.DOUBLE)
    else:
        last = "features" if len(recipe.shape) == 1 else "values"
        shape = ["n", *recipe.shape]
        piece.inputs.append(helper.make_tensor_value_info(last, TensorProto.DOUBLE, shape))
    _standardised(piece, last, recipe.scales, (-1, *[1] * (len(recipe.shape) - 1)), target)
    return piece


def text_inlet(recipe: TextRecipe, prefix: str, target: str) -> Piece:
    """Token numbers ``int64 [n, length]``, which a tokenizer beside the file makes of texts.

    Args:
        recipe: Says how texts are numbered.
        prefix: Of the names that are made here.
        target: Name of the result.
    """
    del recipe
    piece = Piece(prefix)
    shape = ["n", "length"]
    piece.inputs.append(helper.make_tensor_value_info("ids", TensorProto.INT64, shape))
    piece.add("Identity", "ids", named=target)
    return piece


def _numbers(piece: Piece, columns: Sequence[TableColumn]) -> tuple[list[str], list[str]]:
    steps = [column.step for column in columns if isinstance(column.step, NumberStep)]
    values = piece.joined([name for column in columns for name in column.inputs])
    missing = piece.add("IsNaN", values)
    fills = np.array([[fill for step in steps for fill in step.fills]])
    filled = piece.add("Where", missing, piece.constant("fills", fills), values)
    scales = [scale for step in steps for scale in step.scales]
    made = _standardised(piece, filled, scales, (1, -1))
    ends = np.cumsum([len(step.fills) for step in steps])
    said = [int(end) - len(s.fills) for s, end in zip(steps, ends, strict=True) if s.indicator]
    if not said:
        return [made], []
    return [made], [_indicators(piece, missing, said)]


def _texts(piece: Piece, columns: Sequence[TableColumn]) -> tuple[list[str], list[str]]:
    steps = [column.step for column in columns if isinstance(column.step, CategoryStep)]
    codes = []
    for column, step in zip(columns, steps, strict=True):
        # Behind the levels comes the number of a missing text; any other text has −1.
        encoded = piece.add(
            *("LabelEncoder", *column.inputs),
            domain=ML,
            keys_strings=[*step.levels, ""],
            values_int64s=list(range(len(step.levels) + 1)),
            default_int64=-1,
        )
        codes.append(encoded)
    numbers = piece.joined(codes)
    behind = piece.constant("behind", np.array([[len(step.levels) for step in steps]]))
    missing = piece.add("Equal", numbers, behind)
    fills = [step.levels.index(step.fill) if step.fill in step.levels else -1 for step in steps]
    filled = piece.add("Where", missing, piece.constant("usual", np.array([fills])), numbers)
    owners = np.repeat(np.arange(len(steps)), [len(step.levels) for step in steps])
    made = []
    if len(owners):
        places = np.concatenate([np.arange(len(step.levels)) for step in steps])[None]
        spread = piece.add("Gather", filled, piece.constant("owners", owners), axis=1)
        hit = piece.add("Equal", spread, piece.constant("places", places))
        made.append(piece.add("Cast", hit, to=TensorProto.FLOAT))
    said = [place for place, step in enumerate(steps) if step.indicator]
    return made, [_indicators(piece, missing, said)] if said else []


def _indicators(piece: Piece, missing: str, places: Sequence[int]) -> str:
    name = f"said_{len(piece.constants)}"
    chosen = piece.add("Gather", missing, piece.constant(name, np.array(places)), axis=1)
    return piece.add("Cast", chosen, to=TensorProto.FLOAT)


def _standardised(
    piece: Piece, values: str, scales: Sequence[Scale], shape: tuple[int, ...], target: str = ""
) -> str:
    """In double precision, as :meth:`Scale.into` does it; what is constant becomes 0."""
    means, deviations = _columns(scales)
    centred = piece.add("Sub", values, piece.constant("means", means.reshape(shape)))
    scaled = piece.add("Div", centred, piece.constant("deviations", deviations.reshape(shape)))
    return piece.add("Cast", scaled, named=target, to=TensorProto.FLOAT)


def _columns(scales: Sequence[Scale]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Means and deviations; an infinite one makes 0 of what is constant."""
    return (
        np.array([scale.mean for scale in scales]),
        np.array([scale.deviation or np.inf for scale in scales]),
    )

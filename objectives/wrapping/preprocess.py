"""Preprocessing as ONNX operators: from raw inputs to the inputs of a model.

Each computes exactly what the preprocessing of a task computes, number for number, in double
precision where that does. Pixels take one operator: each costs more than the numbers it makes. Only
images of another size than the model's are resized by the runtime's own arithmetic, which may
differ from Pillow's by :data:`RESIZED_WITHIN` of 256 grey levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from greenfront.objectives.tasks.recipe import (
    NUMBERS,
    TEXTS,
    ArrayRecipe,
    TableRecipe,
)
from greenfront.objectives.tasks.standardise import Scale, factors_of_pixels
from greenfront.objectives.tasks.tables.preprocessing import CategoryStep, NumberStep
from greenfront.objectives.wrapping.graph_builder import ML, GraphBuilder

__all__ = ["RESIZED_WITHIN", "array_preprocessing", "table_preprocessing", "text_preprocessing"]

RESIZED_WITHIN = 2
"""Both average with the same triangle, the one with weights of 24 bits, the other of 53."""


def table_preprocessing(recipe: TableRecipe, prefix: str, target: str) -> GraphBuilder:
    """Imputes, standardises and looks up the columns of a table.

    All numbers are one input, ``double [n, numbers]``, NaN where missing, and all categories
    another, ``string [n, categories]``, empty where missing: each input of a session takes as long
    as several operators. Both stand in the order of the recipe.

    Args:
        recipe: What was learnt of the columns.
        prefix: Of the names that are made here.
        target: Name of the result, float32 ``[n, inputs]``.
    """
    graph = GraphBuilder(prefix)
    numbers, texts = recipe.steps(NumberStep), recipe.steps(CategoryStep)
    made: list[str] = []
    told: list[str] = []
    for name, kind in ((NUMBERS, TensorProto.DOUBLE), (TEXTS, TensorProto.STRING)):
        if name in recipe.names:
            shape: list[int | str] = ["n", len(recipe.names[name])]
            graph.inputs.append(helper.make_tensor_value_info(name, kind, shape))
    if numbers:
        made.append(_numbers(graph, numbers, told))
    if texts:
        told = _texts(graph, texts, told)
    if told:
        made.append(graph.add("Cast", graph.joined(told), to=TensorProto.FLOAT))
    graph.joined(made, named=target)
    return graph


def array_preprocessing(recipe: ArrayRecipe, prefix: str, target: str) -> GraphBuilder:
    """Standardises features or channels.

    Pixels are ``uint8 [n, height, width, channels]``; where the data are pictures, of any size,
    and are resized first. Other numbers are ``double`` in the shape that they were learnt in.

    Args:
        recipe: What was learnt.
        prefix: Of the names that are made here.
        target: Name of the result, float32 ``[n, …]``.
    """
    graph, kind = GraphBuilder(prefix), TensorProto.DOUBLE
    shape: list[int | str] = ["n", *recipe.shape]
    if recipe.is_pixels:
        channels, height, width = recipe.shape
        edges = ["height", "width"] if recipe.resizes else [height, width]
        shape, kind = ["n", *edges, channels], TensorProto.UINT8
    graph.inputs.append(helper.make_tensor_value_info(recipe.name, kind, shape))
    last = recipe.name
    if recipe.is_pixels:
        last = graph.add("Transpose", last, perm=[0, 3, 1, 2])
        if recipe.resizes:
            last = _resized(graph, last, recipe.shape[1:])
        factors = factors_of_pixels(recipe.scales)
        if factors is not None:
            means = np.array([scale.mean for scale in recipe.scales], dtype=np.uint8)
            told = graph.constant("factors", factors), graph.constant("means", means)
            graph.add("DequantizeLinear", last, *told, named=target, axis=1)
            return graph
        last = graph.add("Cast", last, to=TensorProto.DOUBLE)
    _standardised(graph, last, recipe.scales, (-1, *[1] * (len(recipe.shape) - 1)), target)
    return graph


def text_preprocessing(prefix: str, target: str) -> GraphBuilder:
    """Token numbers ``int64 [n, length]``, which a tokenizer beside the file makes of texts.

    Args:
        prefix: Of the names that are made here.
        target: Name of the result.
    """
    graph = GraphBuilder(prefix)
    shape = ["n", "length"]
    graph.inputs.append(helper.make_tensor_value_info("ids", TensorProto.INT64, shape))
    graph.add("Identity", "ids", named=target)
    return graph


def _resized(graph: GraphBuilder, pixels: str, edges: Sequence[int]) -> str:
    head = graph.add("Shape", pixels, end=2)
    tail = graph.constant("edges", np.array(edges, dtype=np.int64))
    return graph.add(
        *("Resize", pixels, "", "", graph.add("Concat", head, tail, axis=0)),
        mode="linear",
        antialias=1,
        coordinate_transformation_mode="half_pixel",
        exclude_outside=1,
    )


def _numbers(graph: GraphBuilder, steps: Sequence[NumberStep], told: list[str]) -> str:
    """Scaled numbers; what says that one was missing is added to ``told``."""
    scales = [scale for step in steps for scale in step.scales]
    scaled = _standardised(graph, NUMBERS, scales, (1, -1))
    missing = graph.add("IsNaN", NUMBERS)
    fills = np.array([[fill for step in steps for fill in step.fills]])
    means, deviations = _columns(scales)
    filled = ((fills - means) / deviations).astype(np.float32)
    ends = np.cumsum([len(step.fills) for step in steps])
    said = [int(end) - len(s.fills) for s, end in zip(steps, ends, strict=True) if s.indicator]
    told += _indicators(graph, missing, said, int(ends[-1]))
    return graph.add("Where", missing, graph.constant("fills", filled), scaled)


def _texts(graph: GraphBuilder, steps: Sequence[CategoryStep], told: list[str]) -> list[str]:
    """What is 1 for the level of each text, then ``told``, then what says that one was missing."""
    known = {text: index for index, text in enumerate(_every_level(steps))}
    # One numbering for all columns; behind it comes a missing text, and any other text has −1.
    codes = graph.add(
        *("LabelEncoder", TEXTS),
        domain=ML,
        keys_strings=[*known, ""],
        values_int64s=list(range(len(known) + 1)),
        default_int64=-1,
    )
    missing = graph.add("Equal", codes, graph.constant("missing", np.array(len(known))))
    usual = np.array([[known.get(step.fill, -1) for step in steps]])
    filled = graph.add("Where", missing, graph.constant("usual", usual), codes)
    owners = np.repeat(np.arange(len(steps)), [len(step.levels) for step in steps])
    said = [place for place, step in enumerate(steps) if step.indicator]
    behind = [*told, *_indicators(graph, missing, said, len(steps))]
    if not len(owners):
        return behind
    places = np.array([[known[level] for step in steps for level in step.levels]])
    spread = graph.add("Gather", filled, graph.constant("owners", owners), axis=1)
    return [graph.add("Equal", spread, graph.constant("places", places)), *behind]


def _every_level(steps: Sequence[CategoryStep]) -> list[str]:
    return list(dict.fromkeys(level for step in steps for level in step.levels))


def _indicators(
    graph: GraphBuilder, missing: str, places: Sequence[int], columns: int
) -> list[str]:
    if len(places) in (0, columns):
        return [missing] if places else []
    chosen = graph.constant(f"said_{len(graph.constants)}", np.array(places))
    return [graph.add("Gather", missing, chosen, axis=1)]


def _standardised(
    graph: GraphBuilder,
    values: str,
    scales: Sequence[Scale],
    shape: tuple[int, ...],
    target: str = "",
) -> str:
    """In double precision, as :meth:`Scale.into` does it; what is constant becomes 0."""
    means, deviations = _columns(scales)
    centred = graph.add("Sub", values, graph.constant("means", means.reshape(shape)))
    scaled = graph.add("Div", centred, graph.constant("deviations", deviations.reshape(shape)))
    return graph.add("Cast", scaled, named=target, to=TensorProto.FLOAT)


def _columns(scales: Sequence[Scale]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Means and deviations; an infinite one makes 0 of what is constant."""
    return (
        np.array([scale.mean for scale in scales]),
        np.array([scale.deviation or np.inf for scale in scales]),
    )

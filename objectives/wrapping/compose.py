"""One file that takes raw inputs: what comes before a model, the model, and what comes behind."""

from __future__ import annotations

import json
from collections.abc import Mapping

import onnx
from onnx import compose, helper

from greenfront.errors import DataError
from greenfront.objectives.codec import to_json
from greenfront.objectives.stages.export import INPUT, OPSET, OUTPUT
from greenfront.objectives.stages.joining import operator_sets
from greenfront.objectives.tasks.recipe import ArrayRecipe, Recipe, TableRecipe, TextRecipe
from greenfront.objectives.wrapping.graph_builder import ML, GraphBuilder
from greenfront.objectives.wrapping.labels import Labels
from greenfront.objectives.wrapping.postprocess import postprocessing
from greenfront.objectives.wrapping.preprocess import (
    array_preprocessing,
    table_preprocessing,
    text_preprocessing,
)

__all__ = [
    "SCHEMA",
    "START",
    "compose_model",
    "core_of",
    "kind_of",
    "preprocessing_of",
]

SCHEMA = 3
"""Version of what the file says of itself in its metadata; 1 took each column by itself, 2 scaled
pixels in double precision."""

MODEL_PREFIX = "model/"
START, END = MODEL_PREFIX + INPUT, MODEL_PREFIX + OUTPUT
"""Where the model begins and ends in a whole file."""

BEFORE, BEHIND = "inlet/", "outlet/"
"""What the names of preprocessing and postprocessing begin with in a whole file."""

OPSETS = {"": OPSET, ML: 3}
"""Those that the operators around a model need at least."""


def compose_model(
    core: onnx.ModelProto, recipe: Recipe, labels: Labels, notes: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """Puts the graph of a model between what it needs and what it is asked for.

    Args:
        core: The model's own graph, from inputs to logits or numbers.
        recipe: What makes inputs of raw examples.
        labels: What answers stand for.
        notes: Further entries of the metadata.
    """
    model = compose.add_prefix(core, MODEL_PREFIX)
    before, behind = preprocessing_of(recipe), postprocessing(labels, BEHIND, END)
    graph = model.graph
    # Between the parts, so that the model can be taken out again and looked at by itself.
    graph.value_info.extend([*graph.input, *graph.output])
    for field, first, last in (
        (graph.node, before.nodes, behind.nodes),
        (graph.initializer, before.constants, behind.constants),
    ):
        middle = list(field)
        del field[:]
        field.extend([*first, *middle, *last])
    del graph.input[:], graph.output[:]
    graph.input.extend(before.inputs)
    graph.output.extend(behind.outputs)
    sets = operator_sets([model], least=OPSETS)
    del model.opset_import[:]
    model.opset_import.extend(sets)
    told = metadata_of(recipe, labels) | {"boundary": json.dumps([START, END])}
    told["outputs"] = json.dumps([output.name for output in graph.output])
    helper.set_model_props(
        model, {f"greenfront.{key}": value for key, value in {**told, **(notes or {})}.items()}
    )
    onnx.checker.check_model(model)
    return model


def metadata_of(recipe: Recipe, labels: Labels) -> dict[str, str]:
    """What a file says of its inputs and outputs, JSON by key."""
    told = {
        "schema": SCHEMA,
        "kind": kind_of(recipe),
        "preprocessing": to_json(recipe),
        "inputs": recipe.names if isinstance(recipe, TableRecipe) else {},
        "classes": labels.classes,
        "threshold": labels.threshold,
        "positive": labels.positive,
        "target": labels.target,
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in told.items()}


def kind_of(recipe: Recipe) -> str:
    """``"table"``, ``"image"``, ``"array"`` or ``"text"``."""
    match recipe:
        case TableRecipe():
            return "table"
        case TextRecipe():
            return "text"
        case ArrayRecipe():
            return "image" if recipe.is_pixels else "array"


def preprocessing_of(recipe: Recipe) -> GraphBuilder:
    """The graph that makes inputs of raw examples."""
    match recipe:
        case TableRecipe():
            return table_preprocessing(recipe, BEFORE, START)
        case ArrayRecipe():
            return array_preprocessing(recipe, BEFORE, START)
        case TextRecipe():
            return text_preprocessing(BEFORE, START)


def core_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model by itself, from its inputs to its logits, as :func:`compose_model` got it.

    Raises:
        DataError: The file was not composed here.
    """
    told = {each.key: each.value for each in model.metadata_props}
    try:
        first, last = json.loads(told["greenfront.boundary"])
        known = {info.name: info for info in model.graph.value_info}
        ends = [known[first]], [known[last]]
    except (KeyError, ValueError) as error:
        raise DataError(
            "the model must say where its preprocessing ends and its labels begin, but does not: "
            "export it again"
        ) from error
    prefix = first.removesuffix(INPUT)
    nodes = [node for node in model.graph.node if _is_within(node, prefix)]
    tensors = [tensor for tensor in model.graph.initializer if tensor.name.startswith(prefix)]
    # The last node before it makes the input, under the model's own name.
    nodes = [node for node in nodes if first not in node.output]
    graph = helper.make_graph(nodes, "model", *ends, tensors)
    return helper.make_model(
        graph,
        opset_imports=model.opset_import,
        functions=model.functions,
        ir_version=model.ir_version,
    )


def _is_within(node: onnx.NodeProto, prefix: str) -> bool:
    return all(name.startswith(prefix) for name in node.output if name)

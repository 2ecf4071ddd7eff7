"""Ways to make an exported file say something else than what was judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import numpy_helper

from contracts.shipped import Shipped
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.tasks.load import load_task


def rewritten(model: Shipped, change: Callable[[onnx.ModelProto], None]) -> None:
    """Changes the file in a folder."""
    held = onnx.load(model.folder / "model.onnx")
    change(held)
    onnx.save(held, model.folder / "model.onnx")


def swapped_labels(held: onnx.ModelProto) -> None:
    """The names of the classes in another order, in the graph and in what the file says of it."""
    for node in held.graph.node:
        for attribute in node.attribute:
            if attribute.name == "values_strings":
                attribute.strings[:] = attribute.strings[::-1]
    for entry in held.metadata_props:
        if entry.key == "greenfront.classes":
            entry.value = json.dumps(json.loads(entry.value)[::-1])


def changed_mean(held: onnx.ModelProto, *, told_too: bool = False) -> None:
    """Another mean of the first column, in the graph and perhaps in what the file says of it."""
    tensor = next(each for each in held.graph.initializer if each.name == "inlet/means")
    means = numpy_helper.to_array(tensor).copy()
    means[0, 0] += 0.5
    tensor.CopyFrom(numpy_helper.from_array(means, tensor.name))
    for entry in held.metadata_props:
        if told_too and entry.key == "greenfront.preprocessing":
            recipe = json.loads(entry.value)
            recipe["columns"][0]["scales"][0]["mean"] += 0.5
            entry.value = json.dumps(recipe)


def of_another_split(model: Shipped, folder: Path) -> Runtime:
    """A runtime whose test split is another one of the same data."""
    runtime = model.runner.runtime
    task = load_task(model.settings, cache=folder / "cache", seed=4)
    return Runtime(
        type(runtime.models)(task, "cpu"), runtime.store, runtime.context, 4, runtime.measuring
    )

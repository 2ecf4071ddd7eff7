"""Inputs made of raw examples one by one are those that a task was given at once."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.preparation import MOST_EXAMPLES
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Task
from greenfront.objectives.wrapping.compose import START, preprocessing_of
from greenfront.objectives.wrapping.graph_builder import ML


def agrees(task: Task) -> None:
    preparation = task.preparation
    assert preparation is not None
    count = min(MOST_EXAMPLES, len(task.validation))
    assert len(preparation) == count
    inlet = preprocessing_of(preparation.recipe)
    kind = TensorProto.FLOAT
    outputs = [helper.make_tensor_value_info(START, kind, None)]
    graph = helper.make_graph(inlet.nodes, "inlet", inlet.inputs, outputs, inlet.constants)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(ML, 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for size in (1, 7):
        feeds = [preparation.feed(slice(start, start + size)) for start in range(0, count, size)]
        found = np.concatenate([session.run(None, feed)[0] for feed in feeds])
        np.testing.assert_array_equal(found, task.validation.inputs[:count])


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_images_are_standardised(tmp_path: Path, fraction: float) -> None:
    agrees(load_task(TaskSettings(kind="digits", eval_fraction=fraction), cache=tmp_path, seed=1))


def test_tables_are_imputed_standardised_and_looked_up(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["height", "always", "colour", "day", "class"])
        for row in range(300):
            height = "" if row % 5 == 0 else f"{random.normal(170, 9):.2f}"
            colour = "" if row % 7 == 0 else random.choice(["red", "green", "blue"])
            day = f"2026-{1 + row % 12:02}-{1 + row % 28:02}"
            writer.writerow([height, "3.5", colour, day, "ab"[int(random.integers(2))]])
    task = load_task(TaskSettings(kind="csv", path=path, target="class"), cache=tmp_path, seed=1)
    assert task.facts.input_shape[0] > 6
    agrees(task)


def test_texts_are_held_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    lines = [f"the {word} cat number {n},{word}" for n in range(20) for word in ("red", "blue")]
    path.write_text("text,class\n" + "\n".join(lines) + "\n")
    task = load_task(TaskSettings(kind="text", path=path, target="class"), cache=tmp_path, seed=1)
    assert task.preparation is None

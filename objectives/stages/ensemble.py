"""Several models in one file that answer together: the mean of their probabilities or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper

from greenfront.errors import DataError
from greenfront.objectives.stages.export import INPUT, OUTPUT
from greenfront.objectives.stages.fitted_export import LEAST_PROBABILITY
from greenfront.objectives.stages.joining import like, operator_sets, part, renamed

__all__ = ["averaged", "mean_answers", "members_of"]

MEMBER, OWN = "member", "ensemble/"
"""How the names begin of what belongs to a model, before its number, and of what averages."""

MEAN = f"{OWN}mean"


def averaged(paths: Sequence[Path], *, numbers: bool) -> onnx.ModelProto:
    """Joins files that take the same inputs and know the same classes, or the same number.

    Of classes the probabilities are averaged (Lakshminarayanan et al., arXiv 1612.01474), whose
    logarithms are the logits of the whole.

    Args:
        paths: Of the models, from inputs to logits or numbers.
        numbers: Whether they answer with numbers.
    """
    models = [
        compose.add_prefix(onnx.load(path), f"{MEMBER}{place}/") for place, path in enumerate(paths)
    ]
    nodes, tensors, given = list[onnx.NodeProto](), list[onnx.TensorProto](), list[str]()
    for place, model in enumerate(models):
        renamed(model.graph, model.graph.input[0].name, INPUT)
        nodes += model.graph.node
        tensors += model.graph.initializer
        given.append(model.graph.output[0].name)
        if not numbers:
            logits, given[-1] = given[-1], f"{OWN}shares{place}"
            nodes.append(helper.make_node("Softmax", [logits], [given[-1]], axis=-1))
    if numbers:
        nodes.append(helper.make_node("Mean", given, [OUTPUT], name=MEAN))
    else:
        least = np.array(LEAST_PROBABILITY, dtype=np.float32)
        tensors.append(numpy_helper.from_array(least, f"{OWN}least"))
        nodes += [
            helper.make_node("Mean", given, [f"{OWN}shares"], name=MEAN),
            helper.make_node("Clip", [f"{OWN}shares", f"{OWN}least"], [f"{OWN}some"]),
            helper.make_node("Log", [f"{OWN}some"], [OUTPUT]),
        ]
    entry, answer = models[0].graph.input[0], models[0].graph.output[0]
    graph = helper.make_graph(
        nodes, "ensemble", [like(entry, INPUT)], [like(answer, OUTPUT)], tensors
    )
    whole = helper.make_model(
        graph,
        opset_imports=operator_sets(models),
        ir_version=max(model.ir_version for model in models),
    )
    onnx.checker.check_model(whole)
    return whole


def mean_answers(answers: Sequence[NDArray[np.float32]], *, numbers: bool) -> NDArray[np.float32]:
    """What an ensemble answers, given what its models do, each ``[n, outputs]``."""
    if numbers:
        mean: NDArray[np.float32] = np.mean(answers, axis=0, dtype=np.float32)
        return mean
    shares = torch.stack([torch.from_numpy(each).softmax(1) for each in answers]).mean(0)
    logits: NDArray[np.float32] = shares.clamp_min(LEAST_PROBABILITY).log().numpy()
    return logits


def members_of(model: onnx.ModelProto) -> list[onnx.ModelProto]:
    """Takes an ensemble apart, also where its names got a prefix.

    Raises:
        DataError: It is none.
    """
    graph = model.graph
    mean = next((node for node in graph.node if node.name.endswith(MEAN)), None)
    if mean is None:
        raise DataError(
            "an ensemble must hold the mean of its models' answers, but this file does not: export "
            "it again"
        )
    prefix = mean.name.removesuffix(MEAN)
    makers = {name: node for node in graph.node for name in node.output}
    found = []
    for place, given in enumerate(mean.input):
        own = f"{prefix}{MEMBER}{place}/"
        nodes = [n for n in graph.node if all(name.startswith(own) for name in n.output)]
        answer = given if given.startswith(own) else makers[given].input[0]
        ends = {graph.input[0].name: INPUT, answer: OUTPUT}
        found.append(part(model, nodes, graph.initializer, ends))
    return found

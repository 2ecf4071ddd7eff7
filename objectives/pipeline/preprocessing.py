"""What an answer from raw input costs apart from the model: its file's graph around the model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from greenfront.errors import TrialFailed
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.pipeline.lineage import Made, lineage_key
from greenfront.objectives.pipeline.model_factory import family_of
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.export import INPUT, OUTPUT
from greenfront.objectives.stages.metered import Work
from greenfront.objectives.stages.session import open_session, session_options
from greenfront.objectives.stages.turns import in_turns
from greenfront.objectives.tasks.recipe import TextRecipe
from greenfront.objectives.wrapping.compose import SCHEMA, compose_model
from greenfront.objectives.wrapping.graph_builder import GraphBuilder
from greenfront.objectives.wrapping.labels import Labels
from greenfront.spaces.architectures.architecture import Encoder
from greenfront.spaces.candidate import Candidate

__all__ = ["around", "beyond", "preprocessing_cost"]

PHASE = "preprocess"


def preprocessing_cost(runtime: Runtime, candidate: Candidate) -> Reading | None:
    """Energy of all that a file does for one example beside its model.

    That is imputing, standardising, looking up, choosing the label, and tokenising beside the
    file. A stand-in of two operators, with and without all that around it, is measured in turns,
    like predictions, in as large batches, on raw validation examples: the difference is what it
    costs. Once for each task and encoder, and kept in the lineage store, since no model changes it.

    Returns:
        ``None`` where the model takes raw examples as they are, and where none were kept.

    Raises:
        TrialFailed: No instrument could tell (cause ``"no reading"``).
    """
    models, measuring = runtime.models, runtime.measuring
    task, family = models.task, family_of(candidate)
    shape = dict(candidate.architecture.shape)
    encoder = family.encoder(shape, task.train.inputs)
    if encoder is None and task.preparation is None:
        return None

    def make(_folder: Path) -> Made:
        works = around(runtime, encoder)
        rounds = measuring.least_blocks
        context = runtime.context
        bare, whole = in_turns(works, context, phase=PHASE, measuring=measuring, rounds=rounds)
        reading = beyond(whole.cost.reading, bare.cost.reading)
        if reading.joules is None:  # kept, it would be unavailable to every later trial
            why = f" ({', '.join(reading.flags)})" if reading.flags else ""
            raise TrialFailed(
                "no reading", f"no instrument could tell what preprocessing an example costs{why}"
            )
        return Made({PHASE: reading})

    key = lineage_key(
        PHASE,
        task.facts.fingerprint,
        {
            "encoder": None if encoder is None else [family.name, family.fingerprint()],
            "knobs": {name: shape[name] for name in family.encoding_knobs},
            "batch": measuring.batch,
            "threads": measuring.threads,
            "processor": describe_cpu().name,
            "instruments": runtime.instruments,
            "graph": SCHEMA,
        },
    )
    return runtime.store.output(key, make, stage=PHASE).readings[PHASE]


def around(runtime: Runtime, encoder: Encoder | None) -> list[Work]:
    """Answers of a stand-in for a model alone, and of its whole file from raw examples.

    Args:
        runtime: Of the study.
        encoder: What numbers the tokens of texts; ``None`` for other data.
    """
    task, measuring = runtime.models.task, runtime.measuring
    inputs, preparation = task.validation.inputs, task.preparation
    options, metric = session_options(measuring.threads), runtime.judged_by.metric
    labels = Labels(task.facts.class_names, None, metric.positive)
    one = inputs[: measuring.batch] if encoder is None else encoder(inputs[: measuring.batch])
    stand_in = _stand_in(one, task.facts.outputs)
    alone = open_session(stand_in, options)

    def call(_rows: slice) -> Callable[[], object]:
        return functools.partial(alone.run, None, {INPUT: one})

    if encoder is None:
        assert preparation is not None
        whole = open_session(compose_model(stand_in, preparation.recipe, labels), options)
        feed, count = preparation.feed, len(preparation)

        def answer(rows: slice) -> Callable[[], object]:
            return functools.partial(whole.run, None, feed(rows))
    else:
        whole = open_session(compose_model(stand_in, TextRecipe(0, 0), labels), options)
        count = len(inputs)

        def answer(rows: slice) -> Callable[[], object]:
            return lambda: whole.run(None, {"ids": encoder(inputs[rows])})

    texts = encoder is not None
    return [Work.over(count, measuring.batch, each, texts=texts) for each in (call, answer)]


def _stand_in(inputs: NDArray[Any], outputs: int) -> onnx.ModelProto:
    """The least that makes answers ``[n, outputs]`` of inputs: the sum of each example."""
    graph, kind = GraphBuilder("stand-in/"), helper.np_dtype_to_tensor_dtype(inputs.dtype)
    shape = ["n", *(f"axis_{place}" for place in range(1, inputs.ndim))]
    last = graph.add("Flatten", INPUT)
    if inputs.dtype != np.float32:
        last = graph.add("Cast", last, to=TensorProto.FLOAT)
    axis = graph.constant("axis", np.array([1]))
    total = graph.add("ReduceSum", last, axis, keepdims=1)
    ones = graph.constant("ones", np.ones((1, outputs), dtype=np.float32))
    graph.add("Mul", total, ones, named=OUTPUT)
    graph.inputs.append(helper.make_tensor_value_info(INPUT, kind, shape))
    answers = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", outputs])
    graph.outputs.append(answers)
    return graph.model("stand-in")


def beyond(whole: Reading, bare: Reading) -> Reading:
    """What the whole takes more; nothing where that is lost in what both take."""
    if whole.joules is None or bare.joules is None:
        return whole if whole.joules is None else bare
    return whole.scaled(max(0.0, 1 - bare.joules / whole.joules) if whole.joules else 0.0)

"""What one prediction of an exported folder takes on this machine, in a plain session."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from greenfront.errors import DataError, UsageError, first_line
from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.stages.metered import InferenceCost, Measuring, Work, repeated_cost
from greenfront.objectives.stages.session import open_plain, spins
from greenfront.studies.export import predict
from greenfront.studies.export.predict_tables import InputError

__all__ = ["MODEL", "given", "made_up", "measured_cost", "plain_session"]

MODEL = "model.onnx"
"""The model's file in a folder."""

EXAMPLES = 64
"""Made-up examples that predictions are measured on."""

Feed = dict[str, NDArray[Any]]


def plain_session(folder: Path) -> onnxruntime.InferenceSession:
    """The folder's model in a session without any option but silence.

    Raises:
        DataError: There is no model, or it cannot be loaded.
    """
    path = folder / MODEL
    try:
        return open_plain(path)
    except Exception as error:
        # The runtime raises classes of its own, which share no base but this.
        raise DataError(
            f"{str(path)!r} cannot be loaded ({first_line(error)}): export the model again"
        ) from error


def measured_cost(
    folder: Path,
    instruments: Instruments,
    feeds: Sequence[Feed] | None = None,
    measuring: Measuring | None = None,
) -> InferenceCost:
    """The cost of one prediction of an exported folder.

    Args:
        folder: An exported model.
        instruments: Meter this process.
        feeds: What the model takes, one example each; ``None``: made-up ones, see :func:`made_up`.
        measuring: How; by default as studies do.

    Raises:
        DataError: There is no model, or it cannot be loaded.
        UsageError: No examples can be made up for it.
    """
    session = plain_session(folder)
    held = made_up(session) if feeds is None else list(feeds)

    def call(some: slice) -> Callable[[], object]:
        return functools.partial(session.run, None, held[some.start])

    work = Work.over(len(held), 1, call, texts=False, spins=spins(session))
    return repeated_cost(
        work, LocalContext(instruments), phase="inference", measuring=measuring or Measuring()
    )


def given(folder: Path, inputs: Sequence[str]) -> list[Feed]:
    """The first examples of some files, one each, as ``predict`` reads them.

    Args:
        folder: An exported model.
        inputs: Files and folders, as ``predict`` takes them.

    Raises:
        DataError: The model cannot be loaded, or is not what was exported.
        UsageError: An input cannot be used, or there is no example in them.
    """
    plain_session(folder)
    found: list[Feed] = []
    try:
        model = predict.Model(folder)
    except InputError as error:
        raise DataError(str(error)) from error
    try:
        for names, feed in predict.batches(model, inputs):
            found += [
                {name: values[[place]] for name, values in feed.items()}
                for place in range(len(names))
            ]
            if len(found) >= EXAMPLES:
                break
    except InputError as error:
        raise UsageError(f"--input: {error}") from error
    if not found:
        raise UsageError(f"--input: there is no example in {', '.join(inputs)}: give others")
    return found[:EXAMPLES]


def made_up(session: onnxruntime.InferenceSession) -> list[Feed]:
    """Random examples in the shapes that a model takes, the same every time.

    Good for what does the same work whatever it is given: networks on tables and images.

    Raises:
        UsageError: What its inputs mean cannot be guessed: texts differ in length.
    """
    random = np.random.default_rng(0)
    shape = _image_shape(session)
    return [
        {each.name: _made_up(random, each, shape) for each in session.get_inputs()}
        for _ in range(EXAMPLES)
    ]


def _made_up(
    random: np.random.Generator, wanted: onnxruntime.NodeArg, image: tuple[int, ...] | None
) -> NDArray[Any]:
    known = [edge if isinstance(edge, int) else None for edge in wanted.shape]
    edges = [1, *(edge for edge in known[1:])]
    if None in edges and image is not None and len(edges) == len(image) + 1:
        edges = [1, *image]
    if None in edges or wanted.type == "tensor(int64)":
        raise UsageError(
            f"no examples can be made up for input {wanted.name!r} of {MODEL}, such as for texts, "
            "which differ in length: give some by --input FILE"
        )
    size = tuple(edge for edge in edges if edge is not None)
    if wanted.type == "tensor(string)":
        return np.full(size, "", dtype=object)
    if wanted.type == "tensor(uint8)":
        return random.integers(0, 256, size, dtype=np.uint8)
    kind = np.float32 if wanted.type == "tensor(float)" else np.float64
    return random.normal(size=size).astype(kind)


def _image_shape(session: onnxruntime.InferenceSession) -> tuple[int, ...] | None:
    """Height, width and channels of the images that a model was made for; ``None`` of others."""
    told = session.get_modelmeta().custom_metadata_map.get("greenfront.preprocessing")
    shape = None if told is None else json.loads(told).get("shape")
    if shape is None or len(shape) != 3:
        return None
    channels, height, width = shape
    return height, width, channels

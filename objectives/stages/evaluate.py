"""Running the exported file: what it gets right, and what one prediction costs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from greenfront.errors import TrialFailed
from greenfront.objectives.context import StageContext
from greenfront.objectives.runtime_options import Device
from greenfront.objectives.stages.examples import trimmed
from greenfront.objectives.stages.export import INPUT, OUTPUT
from greenfront.objectives.stages.metered import (
    Enough,
    InferenceCost,
    Measuring,
    Work,
    repeated_cost,
)
from greenfront.objectives.stages.session import on_card, open_session, session_options, spins

__all__ = ["answers_of", "inference_cost", "open_artefact", "predictions"]

ANSWERED_AT_ONCE = 64

CARD_MEMORY = "cuda"
"""ONNX Runtime's name of a GPU's memory."""


def open_artefact(path: Path, threads: int, device: Device = "cpu") -> onnxruntime.InferenceSession:
    """Loads an exported file on a device, with a fixed number of threads that do not spin.

    Nothing else is set: what is credited needs no option that a user would have to know.
    """
    return open_session(path, session_options(threads), device)


def answers_of(
    session: onnxruntime.InferenceSession, inputs: NDArray[Any], padding: int | None = None
) -> NDArray[np.float32]:
    """Answers of a file to inputs ``[n, …]``, float32 ``[n, outputs]``.

    Raises:
        TrialFailed: One is NaN or infinite (cause ``"not finite"``): there is nothing to judge.
    """
    parts = []
    for start in range(0, len(inputs), ANSWERED_AT_ONCE):
        part = trimmed(inputs[start : start + ANSWERED_AT_ONCE], padding)
        parts.append(session.run([OUTPUT], {INPUT: part})[0])
    answers = np.concatenate(parts).astype(np.float32)
    broken = int((~np.isfinite(answers)).any(axis=1).sum())
    if broken:
        raise TrialFailed(
            "not finite",
            f"the exported file must answer finite numbers, but {broken} of {len(answers)} "
            "examples got NaN or infinity: so few bits overflow in it, try more of them",
        )
    return answers


def inference_cost(
    session: onnxruntime.InferenceSession,
    inputs: NDArray[Any],
    context: StageContext,
    *,
    phase: str,
    measuring: Measuring,
    padding: int | None = None,
    enough: Enough | None = None,
) -> InferenceCost:
    """Repeats predictions in metered blocks until the median block is known well enough.

    That is said by ``enough`` after each block from the least number on, by default by the
    precision of ``measuring``.

    A prediction costs what CPU and memory draw, as far as they are metered, and the GPU where the
    session runs on one, from inputs to answers in its memory. The median is robust against a block
    that a neighbour disturbed. Sessions are warmed up before the first block; inputs are real
    examples.

    Nothing is free: where the median block of what works, CPU or GPU, is not above the idle
    machine, longer ones are taken, and where these are not either, the cost is unavailable. So it
    is where one block's is. A call takes at most all examples; the result is per example.
    """
    work = predictions(session, inputs, measuring.batch, padding)
    return repeated_cost(work, context, phase=phase, measuring=measuring, enough=enough)


def predictions(
    session: onnxruntime.InferenceSession,
    inputs: NDArray[Any],
    batch: int,
    padding: int | None = None,
) -> Work:
    """Predictions of a file for real examples ``[n, …]``, so many a call.

    On a GPU inputs lie in its memory, answers stay there, and each call ends with the GPU's work.
    """
    card = on_card(session)

    def answer(rows: slice) -> Callable[[], object]:
        part = trimmed(inputs[rows], padding)
        if card:
            return _bound(session, part)
        return functools.partial(session.run, [OUTPUT], {INPUT: part})

    return Work.over(
        len(inputs),
        batch,
        answer,
        texts=padding is not None,
        spins=spins(session),
        on_card=card,
    )


def _bound(session: onnxruntime.InferenceSession, inputs: NDArray[Any]) -> Callable[[], object]:
    binding = session.io_binding()
    memory = onnxruntime.OrtValue.ortvalue_from_numpy(inputs, CARD_MEMORY, 0)
    binding.bind_ortvalue_input(INPUT, memory)
    binding.bind_output(OUTPUT, CARD_MEMORY, 0)

    def call() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call

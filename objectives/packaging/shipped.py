"""Running a file that takes raw input: what it says, and what one prediction of it costs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from greenfront.objectives.context import StageContext
from greenfront.objectives.packaging.claims import Cost, PredictionParts
from greenfront.objectives.packaging.raw_data import Feed, RawData
from greenfront.objectives.packaging.reference_workload import reference_work
from greenfront.objectives.pipeline.preprocessing import around, beyond
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.evaluate import open_artefact, predictions
from greenfront.objectives.stages.metered import InferenceCost, Measuring, Work
from greenfront.objectives.stages.session import open_plain, open_session, session_options, spins
from greenfront.objectives.stages.turns import Turned, in_turns, paired_ratio
from greenfront.objectives.tasks.recipe import TextRecipe
from greenfront.objectives.tasks.task import Split
from greenfront.spaces.candidate import Candidate

__all__ = ["Costs", "Said", "costs", "in_turn_with_parts", "open_shipped", "raw_work", "said"]

AT_ONCE = 64
"""Rows a call where all are wanted: as many as where the study judges files."""

MEASURED = 256
"""Examples, at most, that predictions are measured on."""

Said = tuple[NDArray[Any], NDArray[Any] | None]
"""Labels ``[n]`` with probabilities ``[n, classes]``, or numbers ``[n]`` and ``None``."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one prediction from raw input to label takes, measured in turns.

    Attributes:
        own: In the session of ``predict.py``.
        plain: In a session without options.
        reference: Of the reference workload at that moment.
    """

    own: Cost
    plain: Cost
    reference: Reading

    @classmethod
    def of(cls, own: Turned, plain: Turned, reference: Turned) -> Self:
        """By the median of each's turns."""
        return cls(_cost(own.cost), _cost(plain.cost), reference.cost.reading)


def open_shipped(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """As ``predict.py`` opens it: so many threads, which do not spin."""
    return open_session(path, session_options(threads))


def said(session: onnxruntime.InferenceSession, data: RawData, split: Split) -> Said:
    """What a file says of a split's raw rows, in its order."""
    rows = data.rows(split)
    feeder = data.feeder(rows)
    parts = [
        session.run(None, dict(feeder(slice(start, start + AT_ONCE))))
        for start in range(0, len(rows), AT_ONCE)
    ]
    first, *others = (np.concatenate(part) for part in zip(*parts, strict=True))
    return first, others[0] if others else None


def in_turn_with_parts(
    whole: Path,
    core: Path,
    data: RawData,
    runtime: Runtime,
    candidate: Candidate,
    measuring: Measuring,
    phase: str,
) -> tuple[Costs, PredictionParts | None]:
    """What whole predictions take, in turns with what the study counts.

    Args:
        whole: The file.
        core: The model's own.
        data: Raw examples.
        runtime: Of the study.
        candidate: What the model is.
        measuring: How predictions are measured.
        phase: That the work is charged to.

    Returns:
        The costs of one prediction, and its parts, ``None`` where the model takes raw examples as
        they are.
    """
    validation = runtime.models.data(candidate).validation
    works = _works(whole, data, measuring)
    prepared = data.encoder is not None or runtime.models.task.preparation is not None
    if prepared:
        model = predictions(
            open_artefact(core, measuring.threads),
            validation.inputs.cpu().numpy(),
            measuring.batch,
            validation.padding,
        )
        works += [model, *around(runtime, data.encoder)]
    own, plain, reference, *counted = in_turns(
        works, runtime.context, phase=phase, measuring=measuring
    )
    beside: PredictionParts | None = None
    if prepared:
        alone, bare, around_it = counted
        parts = [_counted(*turn) for turn in zip(*(each.joules for each in counted), strict=True)]
        beside = PredictionParts(
            whole=plain.cost.reading,
            model=alone.cost.reading,
            preprocessing=beyond(around_it.cost.reading, bare.cost.reading),
            own=own.cost.reading,
            plain_over_own=plain.ratio,
            over_counted=paired_ratio(plain.joules, parts),
            own_over_counted=paired_ratio(own.joules, parts),
        )
    return Costs.of(own, plain, reference), beside


def _counted(alone: float | None, bare: float | None, around_it: float | None) -> float | None:
    """Joules that a study counts, in one turn."""
    if alone is None or bare is None or around_it is None:
        return None
    return alone + max(0.0, around_it - bare)


def costs(
    path: Path, data: RawData, context: StageContext, measuring: Measuring, phase: str
) -> Costs:
    """One prediction from raw input to label, on validation rows; of a cascade on all of them."""
    works = _works(path, data, measuring)
    return Costs.of(*in_turns(works, context, phase=phase, measuring=measuring))


def _works(path: Path, data: RawData, measuring: Measuring) -> list[Work]:
    """Of the whole file in both sessions, and of the reference workload."""
    sessions = open_shipped(path, measuring.threads), open_plain(path)
    return [*(raw_work(each, data, measuring) for each in sessions), reference_work()]


def _cost(found: InferenceCost) -> Cost:
    return Cost(found.reading, found.latency_seconds, found.spread)


def raw_work(session: onnxruntime.InferenceSession, data: RawData, measuring: Measuring) -> Work:
    """Answers of a whole file to raw examples of the validation split; of a cascade to all."""
    rows = data.rows("validation")[: None if measuring.entire else MEASURED]
    feeder = data.feeder(rows)
    texts = isinstance(data.recipe, TextRecipe)

    def call(some: slice) -> Callable[[], object]:
        if texts:  # whose tokens are numbered each time
            return lambda: session.run(None, dict(feeder(some)))
        feed: Feed = feeder(some)
        return functools.partial(session.run, None, dict(feed))

    return Work.over(len(rows), measuring.batch, call, texts=texts, spins=spins(session))

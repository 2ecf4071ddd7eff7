"""What it costs to make a raw example into what a model takes, apart from the model."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from greenfront.errors import TrialFailed
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.pipeline.lineage import Made, lineage_key
from greenfront.objectives.pipeline.model_factory import family_of
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.metered import Work, repeated_cost
from greenfront.spaces.candidate import Candidate

__all__ = ["preprocessing_cost"]

PHASE = "preprocess"


def preprocessing_cost(runtime: Runtime, candidate: Candidate) -> Reading | None:
    """Energy of preprocessing one example: standardising, imputing, tokenising.

    Measured like a prediction, in as large batches, on raw validation examples; once for each task
    and encoder, and kept in the lineage store, since no model changes it.

    Returns:
        ``None`` where the model takes raw examples as they are, and where none were kept.

    Raises:
        TrialFailed: No instrument could tell (cause ``"no reading"``).
    """
    models = runtime.models
    task, family = models.task, family_of(candidate)
    shape = dict(candidate.architecture.shape)
    encoder = family.encoder(shape, task.train.inputs)
    preparation = task.preparation
    if encoder is None and preparation is None:
        return None
    examples = len(task.validation) if preparation is None else len(preparation)

    def preprocess(rows: slice) -> NDArray[Any]:
        inputs = task.validation.inputs[rows] if preparation is None else preparation.inputs(rows)
        return inputs if encoder is None else encoder(inputs)

    def make(_folder: Path) -> Made:
        work = Work.over(
            *(examples, measuring.batch, lambda rows: functools.partial(preprocess, rows)),
            texts=encoder is not None,
        )
        reading = repeated_cost(work, runtime.context, phase=PHASE, measuring=measuring).reading
        if reading.joules is None:  # kept, it would be unavailable to every later trial
            why = f" ({', '.join(reading.flags)})" if reading.flags else ""
            raise TrialFailed(
                "no reading", f"no instrument could tell what preprocessing an example costs{why}"
            )
        return Made({PHASE: reading})

    measuring = runtime.measuring
    key = lineage_key(
        PHASE,
        task.facts.fingerprint,
        {
            "encoder": None if encoder is None else [family.name, family.fingerprint()],
            "knobs": {name: shape[name] for name in family.encoding_knobs},
            "batch": measuring.batch,
            "processor": describe_cpu().name,
            "instruments": runtime.instruments,
        },
    )

    return runtime.store.output(key, make, stage=PHASE).readings[PHASE]

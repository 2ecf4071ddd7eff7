"""What larger batches cost a device: measured once a family, remembered like a stage's output."""

from __future__ import annotations

import torch

from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.stages.compiling import measure_step

__all__ = ["batch_seconds"]

MOST_DOUBLINGS = 3

FEWEST_STEPS = 8
"""Of an epoch: with fewer a schedule of rates is too coarse."""


def batch_seconds(runtime: Runtime, family: str) -> tuple[float, ...]:
    """Seconds of a training step for each example in it, with the usual batch, twice that, ….

    Measured on the family's untrained baseline, as far as eight steps are left of an epoch.
    """
    baseline = runtime.models.baseline(family)
    train, usual = runtime.models.data(baseline).train, baseline.training.batch_size
    sizes = [usual * 2**doubling for doubling in range(MOST_DOUBLINGS + 1)]
    sizes = [size for size in sizes if size * FEWEST_STEPS <= len(train)]

    def measure(_baseline: object, _folder: object) -> list[float]:
        if not sizes:
            return []
        some = slice(0, sizes[-1])
        model, inputs = runtime.models.build(baseline).train(), train.batch(some)
        return [measure_step(model, inputs[:size], train.labels[:size]) / size for size in sizes]

    runtime.context.progress(f"{family}: measuring what larger batches cost")
    knobs = {"threads": torch.get_num_threads(), "torch": torch.__version__, "batches": sizes}
    return tuple(map(float, runtime.calibrated("batch", family, knobs, measure)))

"""How the numbers of a regression are standardised, and what always the same answer errs by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.task import Split, TargetScale

__all__ = ["target_scale"]

FINEST = 100_000
"""Standardised numbers and answers are float32: of larger offsets their differences would drown."""
FEWEST = 2
"""Examples of a split that numbers can be judged by."""


def target_scale(
    numbers: NDArray[np.float64],
    rows: Mapping[Split, NDArray[np.int64]],
    judged: NDArray[np.int64],
    name: str,
    source: str,
) -> TargetScale:
    """Mean and deviation of the training split.

    Args:
        numbers: All labels ``[n]``.
        rows: Of each split.
        judged: Rows that trials are judged on.
        name: Of the target, for people.
        source: Name of the data, for messages.

    Raises:
        DataError: A split is too small, or the training numbers hardly vary.
    """
    sizes = {split: len(part) for split, part in rows.items()}
    if min(*sizes.values(), len(judged)) < FEWEST:
        told = ", ".join(f"{count} {split}" for split, count in sizes.items())
        raise DataError(
            f"{source}: numbers are judged by at least {FEWEST} examples of each split, but there "
            f"are {told}, of which {len(judged)} judge trials: add examples, or raise "
            "validation_fraction, test_fraction or eval_fraction"
        )
    fitted, wanted = numbers[rows["train"]], numbers[judged]
    mean, deviation = float(fitted.mean()), float(fitted.std())
    if fitted.min() == fitted.max() or deviation * FINEST < abs(mean):
        raise DataError(
            f"{source}: a target that is a number must vary by more than 1/{FINEST} of its size "
            f"among the training examples, but its mean is {mean:g} and its standard deviation "
            f"{deviation:g}: subtract a constant from it, or choose another target"
        )
    return TargetScale(
        mean,
        deviation,
        constant_rmse=float(np.sqrt(np.mean((wanted - mean) ** 2))),
        constant_mae=float(np.mean(np.abs(wanted - np.median(fitted)))),
        name=name,
    )

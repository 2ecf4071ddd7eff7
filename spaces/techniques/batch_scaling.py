"""Batch size and rate scaled together, where larger batches cost a device less."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

__all__ = ["batch_scale", "rate_factor"]


def batch_scale(seconds: Sequence[float], least_gain: float) -> int:
    """What batches are multiplied by: doubled as long as that pays.

    Args:
        seconds: Of a training step for each example in it, with the usual batch, twice that, …
        least_gain: Share of the time that a doubling has to save.
    """
    scale = 1
    for before, after in itertools.pairwise(seconds):
        if after > (1 - least_gain) * before:
            break
        scale *= 2
    return scale


def rate_factor(optimizer: str, scale: int) -> float:
    """What the rate is multiplied by with the batch, so that the training stays what it is.

    Plain gradients: as much (Goyal et al., "Accurate, large minibatch SGD", arXiv 1706.02677).
    Where steps are divided by the gradients' size, the square root (Malladi et al., "On the SDEs
    and scaling rules for adaptive gradient algorithms", arXiv 2205.10287).
    """
    return float(scale) if optimizer == "sgd" else math.sqrt(scale)

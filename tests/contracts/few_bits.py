"""Files of fewer bits, as those of a candidate are on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from greenfront.objectives.stages.int8 import Int8Recipe, compute_int8
from greenfront.objectives.stages.quantize import quantize_weights
from greenfront.spaces.techniques.precision import Precision

__all__ = ["quantize"]


def quantize(
    source: Path,
    target: Path,
    precision: Precision,
    recipe: Int8Recipe,
    calibration: NDArray[Any],
    *,
    reduce_range: bool,
    trained: bool = True,
) -> None:
    """Writes int8 kernels by a recipe, or weights of fewer bits."""
    if precision.computes_int8:
        compute_int8(
            source,
            target,
            recipe,
            calibration=calibration,
            reduce_range=reduce_range,
            trained=trained,
        )
    else:
        quantize_weights(source, target, precision.bits)

"""How 8 and fewer bits are computed here: the int8 recipe of each family, measured once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from greenfront.objectives.codec import from_json
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.stages.export import to_onnx
from greenfront.objectives.stages.int8 import Int8Choice, Int8Recipe, fastest_int8, has_vnni
from greenfront.objectives.stages.quantize import quantize
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.precision import Precision

__all__ = ["int8_choice", "int8_recipe", "quantized", "reduces_range"]

CALIBRATION_EXAMPLES = 128


def _computes_int8(precision: Precision) -> bool:
    """Whether the weights run in int8 kernels, instead of being packed on disk alone."""
    return precision.bits == 8 and not precision.weight_only


def reduces_range(precision: Precision) -> bool:
    """Whether int8 weights use seven bits: the CPU would saturate otherwise."""
    return _computes_int8(precision) and not has_vnni()


def int8_choice(runtime: Runtime, family: str) -> Int8Choice:
    """The int8 recipe that is fastest for a family, as this study measures, on this machine."""
    reduce_range = reduces_range(Precision(8))
    threads, batch = runtime.measuring.threads, runtime.measuring.batch

    def measure(baseline: Candidate, folder: Path) -> Int8Choice:
        path = folder / "reference.onnx"
        data = runtime.models.data(baseline)
        to_onnx(runtime.models.untrained(baseline), data.train.inputs[:1], path)
        choice = fastest_int8(
            path,
            _calibration(runtime, baseline),
            reduce_range=reduce_range,
            threads=threads,
            batch=batch,
        )
        path.unlink()
        return choice

    knobs = {
        "reduce_range": reduce_range,
        "threads": threads,
        "batch": batch,
        "onnxruntime": onnxruntime.__version__,
    }
    return from_json(Int8Choice, runtime.calibrated("int8", family, knobs, measure))


def int8_recipe(runtime: Runtime, candidate: Candidate) -> Int8Recipe | None:
    """The recipe by which a candidate computes in int8 kernels; ``None`` where it does not."""
    if not _computes_int8(candidate.precision):
        return None
    return int8_choice(runtime, candidate.architecture.family).recipe


def quantized(
    runtime: Runtime, candidate: Candidate, source: Path, target: Path, *, trained: bool = True
) -> int:
    """Writes a candidate's fewer bits; returns how many layers of int8 kernels stay at 32."""
    return quantize(
        source,
        target,
        candidate.precision,
        recipe=int8_recipe(runtime, candidate) or "dynamic",
        calibration=_calibration(runtime, candidate),
        reduce_range=reduces_range(candidate.precision),
        trained=trained,
    )


def _calibration(runtime: Runtime, candidate: Candidate) -> NDArray[Any]:
    train = runtime.models.data(candidate).train
    return train.batch(slice(0, CALIBRATION_EXAMPLES)).cpu().numpy()

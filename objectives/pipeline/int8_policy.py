"""How 16 and fewer bits are computed here: in which kernels, by which recipe of each family."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from greenfront.errors import TrialFailed
from greenfront.objectives.codec import from_json
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.stages.export import to_onnx
from greenfront.objectives.stages.half import compute_half
from greenfront.objectives.stages.int8 import (
    Int8Choice,
    Int8Recipe,
    compute_int8,
    fastest_int8,
    has_vnni,
    int8_layers,
)
from greenfront.objectives.stages.quantize import quantize_weights
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.layer_bits import LayerBits
from greenfront.spaces.techniques.precision import Precision

__all__ = [
    "UniformInt8",
    "computes_half",
    "int8_choice",
    "int8_recipe",
    "quantized",
    "reduces_range",
    "uniform_int8",
]

CALIBRATION_EXAMPLES = 128


def computes_half(runtime: Runtime, precision: Precision) -> bool:
    """Whether a network runs in kernels for half floats, instead of being stored in them alone.

    ONNX Runtime has them on a GPU; on a CPU it would widen numbers and round them again at each
    call.
    """
    return precision.bits == 16 and precision.computed_on(runtime.measuring.device)


def reduces_range(precision: Precision) -> bool:
    """Whether int8 weights use seven bits: the CPU would saturate otherwise."""
    return precision.computes_int8 and not has_vnni()


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
    if not candidate.precision.computes_int8:
        return None
    return int8_choice(runtime, candidate.architecture.family).recipe


def quantized(
    runtime: Runtime,
    candidate: Candidate,
    source: Path,
    target: Path,
    *,
    trained: bool = True,
    exactly: bool = False,
) -> int:
    """Writes a candidate's fewer bits; returns how many layers of int8 kernels stay at 32.

    Those that it names, where it names any or is meant ``exactly``; else those that it takes.
    """
    precision = candidate.precision
    if computes_half(runtime, precision):
        compute_half(source, target)
        return 0
    recipe = int8_recipe(runtime, candidate)
    if recipe is None:
        quantize_weights(source, target, precision.bits)
        return 0
    floating = candidate.of(LayerBits).floating
    return compute_int8(
        source,
        target,
        recipe,
        calibration=_calibration(runtime, candidate),
        reduce_range=reduces_range(precision),
        trained=trained,
        floating=floating if floating or exactly else None,
    )


@dataclass(frozen=True, slots=True)
class UniformInt8:
    """The int8 form of a network whose layers are all treated alike.

    Attributes:
        candidate: What it is.
        layers: Names of its layers, from the input on.
        floating: Those that stay at 32 bits because the network would not bear it otherwise.
    """

    candidate: Candidate
    layers: list[str]
    floating: list[str]


def uniform_int8(runtime: Runtime, candidate: Candidate, source: Path, target: Path) -> UniformInt8:
    """Writes the int8 form of a candidate's network.

    Raises:
        TrialFailed: It was tuned for other bits (cause ``"refused"``), or has no int8 form.
    """
    precision = candidate.precision.in_int8
    if precision is None:
        raise TrialFailed("refused", f"its weights were tuned: {candidate.precision.describe()}")
    uniform = replace(candidate, precision=precision)
    kept = quantized(runtime, uniform, source, target)
    layers = int8_layers(source, int8_recipe(runtime, uniform) or "dynamic")
    return UniformInt8(uniform, layers, layers[:kept])


def _calibration(runtime: Runtime, candidate: Candidate) -> NDArray[Any]:
    train = runtime.models.data(candidate).train
    return train.batch(slice(0, CALIBRATION_EXAMPLES)).cpu().numpy()

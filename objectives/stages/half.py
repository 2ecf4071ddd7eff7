"""Files whose operators are computed in half floats, which a GPU does faster."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx.shape_inference import InferenceError
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph
from onnxruntime.transformers.float16 import convert_float_to_float16

from greenfront.errors import TrialFailed, first_line
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.session import RUNTIME_FAULTS

__all__ = ["compute_half"]


def compute_half(source: Path, target: Path) -> None:
    """Writes a file that computes in half floats, from float32 inputs to float32 answers.

    Weights lose what half floats cannot hold: those beyond 65504 become that. Operators that have
    no form of half floats stay as they are, between conversions.

    Args:
        source: A file of :func:`~greenfront.objectives.stages.export.to_onnx`.
        target: Written.

    Raises:
        TrialFailed: The graph has no such form (cause ``"cannot quantize"``).
    """
    try:
        model = convert_float_to_float16(onnx.load(source), keep_io_types=True)
        del model.graph.value_info[:]  # which the runtime finds by itself
        onnx.save(model, target)
        open_artefact(target, threads=1)
    except (AssertionError, InferenceError, InvalidGraph, ValueError, *RUNTIME_FAULTS) as failure:
        raise TrialFailed(
            "cannot quantize", f"this network has no form in half floats ({first_line(failure)})"
        ) from failure

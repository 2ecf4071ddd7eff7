"""Sessions of TensorRT, which compiles an engine of a file for one GPU and a range of shapes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail

from greenfront.errors import UsageError, first_line
from greenfront.objectives.stages import session as runtime
from greenfront.objectives.stages.evaluate import ANSWERED_AT_ONCE
from greenfront.objectives.stages.export import INPUT

__all__ = ["Engine", "open_tensorrt"]


@dataclass(frozen=True, slots=True)
class Engine:
    """What an engine is compiled for.

    Attributes:
        folder: Of all engines: compiling takes up to minutes, so they are kept.
        batch: Examples a call, for which it is made fast; others are possible.
        shape: Of the largest input, without the batch axis.
        texts: Whether inputs may be shorter than that.
    """

    folder: Path
    batch: int
    shape: tuple[int, ...]
    texts: bool

    def kept_in(self, path: Path) -> Path:
        """A folder for one file and batch.

        By itself ONNX Runtime would take an engine for that of any network of the same structure,
        whatever its weights.
        """
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        return self.folder / f"{digest}-{self.batch}"

    def options(self, path: Path) -> dict[str, str]:
        """Of the provider, for a file."""
        shortest = (1,) if self.texts else self.shape
        return {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(self.kept_in(path)),
            "trt_profile_min_shapes": _told(1, shortest),
            "trt_profile_opt_shapes": _told(self.batch, self.shape),
            "trt_profile_max_shapes": _told(max(self.batch, ANSWERED_AT_ONCE), self.shape),
        }


def open_tensorrt(
    path: Path, options: onnxruntime.SessionOptions, engine: Engine
) -> onnxruntime.InferenceSession:
    """Loads a file in TensorRT; what it cannot compile runs in CUDA's provider.

    Raises:
        UsageError: TensorRT is not installed here, or computes nothing of this file.
    """
    name = runtime.TENSORRT
    if name not in onnxruntime.get_available_providers():
        raise UsageError(f"this ONNX Runtime has no {name}")
    options.add_session_config_entry(runtime.PLACES, "1")
    engine.kept_in(path).mkdir(parents=True, exist_ok=True)  # the runtime makes no parents
    providers = [(name, engine.options(path)), (runtime.CARD, runtime.CARD_OPTIONS)]
    try:
        opened = onnxruntime.InferenceSession(
            str(path), options, providers=providers, enable_fallback=0
        )
    except (EPFail, RuntimeError, ValueError, *runtime.RUNTIME_FAULTS) as failure:
        raise UsageError(f"TensorRT does not take this file: {first_line(failure)}") from failure
    if not any(part.ep_name == name for part in opened.get_provider_graph_assignment_info()):
        raise UsageError("TensorRT is not installed here, or computes nothing of this file")
    return opened


def _told(batch: int, shape: Sequence[int]) -> str:
    """A shape in TensorRT's own form, such as ``input:1x3x32x32``."""
    return f"{INPUT}:{'x'.join(map(str, (batch, *shape)))}"

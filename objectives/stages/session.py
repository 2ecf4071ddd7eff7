"""How ONNX Runtime is started, wherever a file is run."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as faults

__all__ = ["RUNTIME_FAULTS", "open_plain", "open_session", "session_options"]

RUNTIME_FAULTS = (
    faults.Fail,
    faults.InvalidArgument,
    faults.NotImplemented,
    faults.RuntimeException,
)
"""What the runtime raises where a file cannot be run on such inputs."""


def session_options(threads: int = 1) -> onnxruntime.SessionOptions:
    """Options of a quiet session with a fixed number of threads that do not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def open_plain(path: Path) -> onnxruntime.InferenceSession:
    """Loads a file without any option: as many threads as cores, which spin while they wait."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return open_session(path, options)


def open_session(
    model: Path | onnx.ModelProto, options: onnxruntime.SessionOptions
) -> onnxruntime.InferenceSession:
    """Loads a file, or a graph in memory, on the CPU."""
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

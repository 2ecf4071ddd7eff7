"""How ONNX Runtime is started, wherever a file is run."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from greenfront.objectives.runtime_options import RuntimeOptions

__all__ = [
    "RUNTIME_FAULTS",
    "open_plain",
    "open_session",
    "session_options",
    "spins",
    "tell_threads",
]

RUNTIME_FAULTS = (
    faults.Fail,
    faults.InvalidArgument,
    faults.NotImplemented,
    faults.RuntimeException,
)
"""What the runtime raises where a file cannot be run on such inputs."""


PARALLEL_OPERATORS = 2
"""Operators at once, where they may run side by side."""

LEVELS = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


def session_options(chosen: RuntimeOptions | int = 1) -> onnxruntime.SessionOptions:
    """Options of a quiet session whose threads do not spin; a number is that of its threads."""
    if isinstance(chosen, int):
        chosen = RuntimeOptions(chosen)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = chosen.threads
    options.inter_op_num_threads = PARALLEL_OPERATORS if chosen.parallel else 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    # What the runtime does by itself is not set: what is credited needs no option.
    if chosen.optimization != "all":
        options.graph_optimization_level = LEVELS[chosen.optimization]
    if chosen.parallel:
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if not chosen.prepacking:
        options.add_session_config_entry("session.disable_prepacking", "1")
    return options


def open_plain(path: Path) -> onnxruntime.InferenceSession:
    """Loads a file without any option: as many threads as cores, which spin while they wait."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return open_session(path, options)


def spins(session: onnxruntime.InferenceSession) -> bool:
    """Whether threads of a session of ours wait actively: those of one without options."""
    return bool(session.get_session_options().intra_op_num_threads == 0)


def tell_threads(model: onnx.ModelProto, threads: int) -> None:
    """Writes the number of threads into a file, in the form that ONNX Runtime knows.

    The runtime reads it where ``ORT_LOAD_CONFIG_FROM_MODEL=1`` stands in its environment: then a
    session without options starts no other threads, and with one of them nothing spins. Whether
    threads spin is none of the options that it takes from a file.
    """
    told = {"session_options": {"intra_op_num_threads": threads, "inter_op_num_threads": 1}}
    model.metadata_props.add(key="ort_config", value=json.dumps(told))


def open_session(
    model: Path | onnx.ModelProto, options: onnxruntime.SessionOptions
) -> onnxruntime.InferenceSession:
    """Loads a file, or a graph in memory, on the CPU."""
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

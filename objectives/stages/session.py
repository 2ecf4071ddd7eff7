"""How ONNX Runtime is started, wherever a file is run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from greenfront.errors import UsageError
from greenfront.objectives.runtime_options import RuntimeOptions

__all__ = [
    "RUNTIME_FAULTS",
    "left_on_cpu",
    "on_card",
    "open_plain",
    "open_session",
    "require_provider",
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


CARD = "CUDAExecutionProvider"
"""ONNX Runtime's name of what runs graphs on NVIDIA's GPUs."""

TENSORRT = "TensorrtExecutionProvider"
"""ONNX Runtime's name of what compiles graphs for them."""

CARD_OPTIONS = {"use_tf32": "0"}
"""Products in full single precision, as on the CPU, by whose answers a model is judged."""

PLACES = "session.record_ep_graph_assignment_info"
"""ONNX Runtime's name of the option to remember where each operator runs."""

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


def require_provider(device: str) -> None:
    """Refuses a device that this ONNX Runtime cannot use.

    Raises:
        UsageError: It was built for CPUs alone, or cannot tell where operators run.
    """
    if device == "cpu":
        return
    if CARD not in onnxruntime.get_available_providers():
        raise UsageError(
            f"[objectives] device: 'cuda' needs an ONNX Runtime with the {CARD}, but this one has "
            f"{', '.join(onnxruntime.get_available_providers())}: put onnxruntime-gpu in the place "
            "of onnxruntime, or take 'cpu'"
        )
    if not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"):
        raise UsageError(
            "[objectives] device: 'cuda' needs an ONNX Runtime that tells which operators run on "
            f"the GPU, but {onnxruntime.__version__} does not: take 1.24.1 or a later one, or 'cpu'"
        )


def on_card(session: onnxruntime.InferenceSession) -> bool:
    """Whether a session runs its graph on a GPU."""
    return bool(session.get_providers()[0] in (CARD, TENSORRT))


def left_on_cpu(session: onnxruntime.InferenceSession) -> Counter[str]:
    """Operators that run on the CPU in a session on a GPU, by name, as the runtime tells it.

    It leaves there what has no kernel on the GPU, without a word, and sizes, which are wanted on
    the CPU.
    """
    return Counter(
        node.op_type
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name not in (CARD, TENSORRT)
        for node in part.get_nodes()
    )


def open_session(
    model: Path | onnx.ModelProto, options: onnxruntime.SessionOptions, device: str = "cpu"
) -> onnxruntime.InferenceSession:
    """Loads a file, or a graph in memory.

    Args:
        model: The file, or the graph.
        options: Of the session.
        device: ``"cuda"`` runs what has a kernel there on the GPU, and the rest on the CPU: see
            :func:`left_on_cpu`.

    Raises:
        UsageError: The GPU cannot be used; the runtime would go on without it.
    """
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    require_provider(device)
    if device == "cuda":
        options.add_session_config_entry(PLACES, "1")
    # What has no kernel there runs on the CPU, which the runtime adds by itself.
    providers: list[Any] = [(CARD, CARD_OPTIONS) if device == "cuda" else "CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(source, options, providers=providers)
    if device == "cuda" and not on_card(session):
        raise UsageError(
            "[objectives] device: 'cuda' is not usable here, ONNX Runtime found no GPU or not the "
            "libraries of CUDA and cuDNN that it needs: install these, or take 'cpu'"
        )
    return session

"""What the phases of a search are, in words."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PHASES"]

PHASES: Mapping[str, str] = {
    "data": "reading and encoding the data",
    "setup": "trying the families, importing what pruning needs",
    "calibrate": "whether int8 kernels and compiling pay here",
    "forecast": "an epoch or so, for the forecast at the start",
    "size": "measuring untrained graphs",
    "teacher": "what the teacher answers, for distillation",
    "train": "training networks, fitting references",
    "prune": "taking channels and neurons out",
    "fine-tune": "training after pruning, sparsifying or rounding",
    "export": "writing ONNX files and comparing them with their networks",
    "quantize": "storing weights in fewer bits",
    "evaluate": "answering the validation examples",
    "inference": "metering predictions",
    "preprocess": "metering what makes a raw example into inputs",
    "ensemble": "choosing models that answer together, and metering them beside the best",
    "cross-validate": "making and judging the best models on other splits",
    "repeat": "metering the front again, at its end",
    "overhead": "imports, messages, loading and saving between the others",
    "waiting": "idling for cleaner electricity",
    "search": "the supervisor: samplers, database, ledger",
    "package": "greenfront export",
    "tune": "greenfront tune",
}
"""By name; a problem from Python may have others."""

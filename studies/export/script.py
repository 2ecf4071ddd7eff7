"""What stands beside an exported model so that it can be run: a script, and what that needs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from greenfront.studies.export.bundle import bundled

__all__ = ["write_script"]

SCRIPT = "predict.py"
REQUIREMENTS = "requirements.txt"

MODULES = (
    "greenfront.objectives.tasks.tables.numbers",
    "greenfront.objectives.tasks.tables.dates",
    "greenfront.objectives.tasks.tables.reading",
    "greenfront.objectives.tasks.pixels",
    "greenfront.studies.export.predict_tables",
    "greenfront.studies.export.predict",
)
"""What the script consists of: raw inputs are read by the code that read the training data."""

NEEDED = {"table": (), "array": (), "image": ("pillow",), "text": ("tokenizers",)}
"""Packages beside the runtime, by kind of input."""


def write_script(folder: Path, kind: str) -> None:
    """Writes ``predict.py`` and ``requirements.txt``, pinned to what the model was tried with.

    Args:
        folder: Exists.
        kind: ``"table"``, ``"image"``, ``"array"`` or ``"text"``.
    """
    (folder / SCRIPT).write_text(bundled(MODULES), encoding="utf-8")
    lines = [_pinned(name) for name in ("numpy", "onnxruntime", *NEEDED[kind])]
    (folder / REQUIREMENTS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _pinned(package: str) -> str:
    try:
        return f"{package}=={version(package)}"
    except PackageNotFoundError:
        return package

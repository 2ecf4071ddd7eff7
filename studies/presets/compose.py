"""Study files to start from: one section about the data, the rest the same for all."""

from __future__ import annotations

from importlib.resources import files

from greenfront.errors import UsageError

__all__ = ["TASKS", "compose"]

TASKS = ("digits", "mnist5k", "csv", "images", "text", "arrays", "custom")


def compose(task: str) -> str:
    """The commented study file for a task.

    Raises:
        UsageError: There is none of this name.
    """
    if task not in TASKS:
        raise UsageError(f"task {task!r} is unknown: take one of {', '.join(TASKS)}")
    folder = files("greenfront.studies.presets")
    head, study, common = (
        folder.joinpath(f"{name}.toml").read_text(encoding="utf-8")
        for name in (f"task_{task}", "study", "common")
    )
    named, _, data = head.partition("\n\n")
    return f"{named}\n{study}\n{data}{common}"

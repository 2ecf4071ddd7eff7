"""Answers of an exported file to the examples that trials are judged on, kept beside it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.drafts import drafted

__all__ = ["ANSWERS", "load_answers", "save_answers"]

ANSWERS = "answers.npz"
"""In the folder of the exported file."""


def save_answers(path: Path, answers: NDArray[np.float32], labels: NDArray[Any]) -> None:
    """Writes them entirely or not at all.

    Args:
        path: Replaced if it exists.
        answers: Logits ``[n, classes]``, or numbers ``[n, 1]`` in the target's unit.
        labels: Class indices ``[n]``, or numbers ``[n]`` in the target's unit.
    """
    with drafted(path) as draft:
        with draft.open("wb") as file:
            np.savez(file, answers=answers, labels=labels)
        draft.replace(path)


def load_answers(path: Path) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
    """Answers and labels as :func:`save_answers` takes them; ``None`` where they are not whole."""
    try:
        with np.load(path, allow_pickle=False) as held:
            return held["answers"], held["labels"]
    except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile):
        return None

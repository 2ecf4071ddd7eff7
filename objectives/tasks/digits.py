"""Kind ``digits``: 1797 handwritten digits of 8 × 8 pixels that come with scikit-learn."""

from __future__ import annotations

from greenfront.objectives.tasks.raw import Raw, array_inputs
from greenfront.objectives.tasks.settings import TaskSettings

__all__ = ["read"]


def read(settings: TaskSettings) -> Raw:  # noqa: ARG001 - all readers have it
    """Reads inputs ``[1797, 1, 8, 8]`` and ten classes."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return Raw("digits", array_inputs(data.images, "digits"), data.target)

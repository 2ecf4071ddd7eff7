"""Kind ``torchvision:NAME``: images of ``torchvision.datasets``."""

from __future__ import annotations

import io
import pickle
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.cache import cache_key, cached_arrays, file_stamps
from greenfront.objectives.tasks.image_decoding import (
    DECODED,
    decoded,
    decoder_settings,
    pixel_inputs,
)
from greenfront.objectives.tasks.paths import existing_folder
from greenfront.objectives.tasks.predefined_splits import PredefinedSplits
from greenfront.objectives.tasks.raw import Raw
from greenfront.objectives.tasks.settings import TaskSettings, suggest
from greenfront.objectives.tasks.torchvision_classes import DATASETS, Keys
from greenfront.spaces.architectures.torchvision_shim import allow_torchvision

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["read"]

_SECONDS = 20.0
"""Timeout of downloads; urllib has none of its own."""

# RuntimeError is what torchvision says of data that are missing or damaged.
_FAULTS = (
    AttributeError,
    EOFError,
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


def read(settings: TaskSettings, cache: Path) -> Raw:
    """Reads the training examples, and the test split where there is one.

    Args:
        settings: With a path, that ``root`` is read and no network is used; else the data are
            downloaded to the cache once.
        cache: Folder that keeps the decoded images, until the files below a path change.

    Raises:
        DataError: If the class is none of those that can be read, if torchvision or the data are
            missing, cannot be read or downloaded, or the cache cannot be written.
    """
    name = settings.dataset
    if name not in DATASETS:
        raise DataError(
            f"task kind {settings.kind!r} must name a class of torchvision.datasets that holds "
            f"images with one class each. {suggest(name, DATASETS)}"
        )
    sources: list[Any] = [name, *decoder_settings(settings)]
    if settings.path is None:
        root = cache / "torchvision"
        source = f"data set {name!r}"
    else:
        root = existing_folder(settings, f"what torchvision keeps as root of {name}")
        source = f"{root} ({name})"
        sources += [str(root.resolve()), file_stamps(root, _files(root, name))]

    def build() -> Iterator[tuple[str, NDArray[Any]]]:
        parts = _parts(settings, root, source)
        yield from _arrays(settings, parts, has_test=DATASETS[name].test is not None, source=source)

    kept = cached_arrays(
        cache / f"torchvision-{cache_key(sources)}", (*DECODED, "labels", "is_test"), build
    )
    is_test = kept["is_test"]
    return Raw(
        source,
        pixel_inputs(kept, source),
        kept["labels"],
        PredefinedSplits(is_test if is_test.any() else None),
        tuple(kept["notes"].tolist()),
    )


def _files(root: Path, name: str) -> list[Path]:
    places = [root / place for place in DATASETS[name].places]
    found = sorted(
        file
        for place in places
        for file in (place.rglob("*") if place.is_dir() else [place])
        if file.is_file()
    )
    if not found:
        raise DataError(
            f"{root}: this folder must hold {' and '.join(DATASETS[name].places)}, where "
            f"torchvision keeps {name}, but does not: name the folder that was given as root, or "
            "leave path out to download the data"
        )
    return found


def _parts(settings: TaskSettings, root: Path, source: str) -> list[Any]:
    """Opens the training parts and, last, the test split."""
    from filelock import FileLock

    allow_torchvision()
    try:
        from torchvision import datasets
    except ImportError as error:
        raise DataError(
            f"task kind {settings.kind!r} needs the package torchvision, which cannot be imported "
            f'({error}): pip install "greenfront[timm]"'
        ) from error
    described = DATASETS[settings.dataset]
    asked: list[Keys] = [*described.train]
    if described.test is not None:
        asked.append(described.test)
    is_local = settings.path is not None
    try:
        # Studies that share a cache must not download into each other's files.
        alone = nullcontext() if is_local else FileLock(root.with_name(".torchvision.lock"))
        with alone, _with_timeout():
            made = getattr(datasets, settings.dataset)
            return [made(root=str(root), download=not is_local, **keys) for keys in asked]
    except _FAULTS as error:
        reason = str(error).strip().replace("\n", " ").rstrip(".") or type(error).__name__
        if is_local:
            raise DataError(
                f"{source}: torchvision must be able to read these data, but says: {reason}. "
                "Download them again, or leave path out to have that done"
            ) from error
        raise DataError(
            f"{source} must be downloaded by torchvision, which failed: {reason}. Download it "
            "where there is a network, and give the folder that was its root as path"
        ) from error


def _arrays(
    settings: TaskSettings, parts: Sequence[Any], *, has_test: bool, source: str
) -> Iterator[tuple[str, NDArray[Any]]]:
    places = [(part, row) for part in parts for row in range(len(part))]
    if not places:
        raise DataError(f"{source}: there must be images, but there are none: download them again")
    indices = np.zeros(len(places), dtype=np.int64)

    @contextmanager
    def image(index: int) -> Iterator[Image.Image]:
        part, row = places[index]
        try:
            found, label = part[row]
        except _FAULTS as error:
            raise DataError(
                f"{source}: every image must be readable, but number {row + 1} of {type(part)} is "
                f"not ({error}): download the data again"
            ) from error
        indices[index] = label
        yield found

    yield from decoded(len(places), image, settings)
    yield "labels", _named(indices, parts[0])
    held_out = len(parts[-1]) if has_test else 0
    yield "is_test", np.arange(len(places)) >= len(places) - held_out


def _named(indices: NDArray[np.int64], part: Any) -> NDArray[Any]:
    """The classes' names, where the data set tells them apart by name."""
    told = getattr(part, "classes", None) or getattr(part, "categories", None) or []
    names = [name if isinstance(name, str) else ", ".join(name) for name in told]
    if len(set(names)) == len(names) > int(indices.max()) and indices.min() >= 0:
        return np.array(names, dtype=str)[indices]
    return indices


@contextmanager
def _with_timeout() -> Iterator[None]:
    """Sets a timeout for downloads, and keeps progress off the terminal."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS)
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)

"""Kind ``hf-dataset:owner/name``: texts or images of the ``datasets`` library."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from greenfront.errors import DataError
from greenfront.objectives.tasks.cache import Arrays, cache_key, cached_arrays, file_stamps
from greenfront.objectives.tasks.columns import check_column, check_text_column
from greenfront.objectives.tasks.hf_labels import has_labels, read_labels
from greenfront.objectives.tasks.hf_source import HubSplits, find_splits
from greenfront.objectives.tasks.image_decoding import (
    DECODED,
    decoded,
    decoder_settings,
    open_image,
    pixel_inputs,
)
from greenfront.objectives.tasks.predefined_splits import PredefinedSplits
from greenfront.objectives.tasks.raw import Raw
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.text import Texts, checked_texts

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL import Image

__all__ = ["read"]

_USUAL_TARGET = "label"
_USUAL_TEXTS = "text"


def read(settings: TaskSettings, cache: Path) -> Raw:
    """Reads the training split, and the test split where there is one with labels.

    Other splits are left alone. Inputs are the one column of images, else the column ``text``;
    the settings may name another.

    Args:
        settings: With the data set's name or a path.
        cache: Folder that keeps the decoded images until the data change.

    Raises:
        DataError: If the data set cannot be had, see
            :func:`greenfront.objectives.tasks.hf_source.find_splits`, if a column is missing or
            holds something else, if rows have no input or label, or the cache cannot be written.
    """
    found = find_splits(settings, cache)
    target = settings.target or _USUAL_TARGET
    check_column("target", target, found.train.column_names, found.source)
    splits = {"train": found.train}
    if found.test is not None and has_labels(found.test, target):
        splits["test"] = found.test
    image = _image_column(settings, target, found)
    notes: list[str] = []
    if image is None:
        inputs: Any = _texts(settings, target, splits, found.source)
    else:
        kept = _pixels(settings, image, splits, found.source, cache)
        inputs, notes = pixel_inputs(kept, found.source), kept["notes"].tolist()
    labels = read_labels(splits, target, found.source)
    is_test = np.arange(len(labels)) >= len(found.train) if "test" in splits else None
    return Raw(found.source, inputs, labels, PredefinedSplits(is_test), tuple(notes))


def _image_column(settings: TaskSettings, target: str, found: HubSplits) -> str | None:
    """Gives the column of images; ``None`` where the inputs are texts."""
    features = dict(found.train.features)
    named = settings.image_column
    if named is not None:
        check_column("image_column", named, list(features), found.source)
        if not _can_be_images(features[named]):
            raise DataError(
                f"{found.source}: image_column must name a column of images, but {named!r} holds "
                f"{features[named]}: name another, or store the images' files in it"
            )
        return named
    if settings.text_column is not None:
        return None
    held = [name for name in features if name != target and _are_images(features[name])]
    if len(held) > 1:
        raise DataError(
            f"{found.source}: there must be one column of images, but there are {len(held)} "
            f"({', '.join(map(repr, held))}): name one of them in image_column"
        )
    if held or _USUAL_TEXTS in features:
        return held[0] if held else None
    raise DataError(
        f"{found.source}: there must be a column of images or one of texts, {_USUAL_TEXTS!r}, but "
        f"the columns are {', '.join(map(repr, features))}: name the inputs in text_column or "
        "image_column"
    )


def _are_images(feature: object) -> bool:
    from datasets import Image

    # The second is what images become in files that say nothing of the library.
    return isinstance(feature, Image) or (
        isinstance(feature, dict) and set(feature) == {"bytes", "path"}
    )


def _can_be_images(feature: object) -> bool:
    from datasets import Value

    is_binary = isinstance(feature, Value) and feature.dtype in ("binary", "large_binary")
    return is_binary or _are_images(feature)


def _texts(settings: TaskSettings, target: str, splits: dict[str, Dataset], source: str) -> Texts:
    column = settings.text_column or _USUAL_TEXTS
    for key in ("image_size", "channels"):
        if getattr(settings, key) is not None:
            raise DataError(
                f"{source}: the inputs are texts, which have no use for {key!r}: remove it, or "
                "name a column of images in image_column"
            )
    for split in splits.values():
        check_column("text_column", column, split.column_names, source)
    check_text_column(column, target, source)
    cells: list[Any] = []
    places: list[str] = []
    for name, split in splits.items():
        cells += split.select_columns([column])[:][column]
        places += [f"row {row} of split {name!r}" for row in range(1, len(split) + 1)]
    return checked_texts(cells, places, column, source)


def _pixels(
    settings: TaskSettings, column: str, splits: dict[str, Dataset], source: str, cache: Path
) -> Arrays:
    from datasets import Image as Images

    for split in splits.values():
        check_column("image_column", column, split.column_names, source)
    parts = {
        name: split.select_columns([column]).cast_column(column, Images(decode=False))
        for name, split in splits.items()
    }
    places = [(name, row) for name, split in parts.items() for row in range(len(split))]

    def image(index: int) -> AbstractContextManager[Image.Image]:
        name, row = places[index]
        place = f"{source}, row {row + 1} of split {name!r}"
        return open_image(_file(parts[name][row][column], place), place, settings)

    return cached_arrays(
        cache / f"hf-{_key(list(splits.values()), column, settings)}",
        DECODED,
        lambda: decoded(len(places), image, settings),
    )


def _file(cell: dict[str, Any] | None, place: str) -> Path | io.BytesIO:
    content, path = (cell or {}).get("bytes"), (cell or {}).get("path")
    if content is not None:
        return io.BytesIO(content)
    if path is not None and Path(path).is_file():
        return Path(path)
    raise DataError(
        f"{place}: every row needs an image, but this one has "
        f"{'none' if path is None else f'the name of a file that is not here, {path!r}'}: "
        "add it, or remove the row"
    )


def _key(splits: Sequence[Dataset], column: str, settings: TaskSettings) -> str:
    files = [[Path(file["filename"]).absolute() for file in split.cache_files] for split in splits]
    sources = [
        *decoder_settings(settings),
        column,
        [(len(split), split.num_columns) for split in splits],
        [file_stamps(Path("/"), held) for held in files],
    ]
    return cache_key(sources)

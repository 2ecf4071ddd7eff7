"""The labels in a column of the ``datasets`` library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["has_labels", "read_labels"]


def has_labels(split: Dataset, target: str) -> bool:
    """Whether a split has a label at all; those of many test splits are kept secret."""
    if target not in split.column_names:
        return False
    feature = split.features[target]
    # Other columns are for read_labels to refuse.
    return not _holds_classes(feature) or any(
        not _is_missing(value, feature) for value in _cells(split, target)
    )


def read_labels(splits: Mapping[str, Dataset], target: str, source: str) -> NDArray[Any]:
    """Gives the labels of all splits, one after the other.

    Returns:
        Class names, or numbers where the column has no names for them.

    Raises:
        DataError: The column holds no classes, labels are missing, or are not alike in all splits.
    """
    parts = {
        name: _labels(split, target, f"{source}, split {name!r}") for name, split in splits.items()
    }
    kinds = {name: part.dtype.kind for name, part in parts.items()}
    if len(set(kinds.values())) > 1:
        told = " and ".join(f"{splits[name].features[target]} in {name!r}" for name in parts)
        raise DataError(
            f"{source}: {target!r} must hold labels of one type, but holds {told}: "
            "write them alike in all splits"
        )
    return np.concatenate(list(parts.values()))


def _labels(split: Dataset, target: str, source: str) -> NDArray[Any]:
    from datasets import ClassLabel

    feature = split.features[target]
    if not _holds_classes(feature):
        raise DataError(
            f"{source}: target must name a column of classes, names or numbers, but {target!r} "
            f"holds {feature}: name another column"
        )
    cells = _cells(split, target)
    missing = sum(_is_missing(value, feature) for value in cells)
    if missing:
        raise DataError(
            f"{source}: every example needs a label, but {missing} of {len(cells)} have none in "
            f"{target!r}: label them, or remove these rows"
        )
    if isinstance(feature, ClassLabel) and feature.names:
        # As numbers where all are, so that class 10 comes after class 9.
        names = np.array(feature.names, dtype=str)
        is_numbered = all(name.isdecimal() and str(int(name)) == name for name in feature.names)
        known: NDArray[Any] = names.astype(np.int64) if is_numbered else names
        return np.asarray(known[np.asarray(cells)])
    return np.asarray(cells)


def _holds_classes(feature: object) -> bool:
    from datasets import ClassLabel, Value

    return isinstance(feature, ClassLabel) or (
        isinstance(feature, Value)
        and (
            feature.dtype in ("string", "large_string", "bool")
            or feature.dtype.startswith(("int", "uint", "float"))
        )
    )


def _cells(split: Dataset, target: str) -> list[Any]:
    return list(split.select_columns([target])[:][target])


def _is_missing(value: Any, feature: object) -> bool:
    from datasets import ClassLabel

    if value is None or value != value:  # a number that differs from itself is NaN
        return True
    if isinstance(value, str):
        return not value.strip()
    return isinstance(feature, ClassLabel) and value < 0

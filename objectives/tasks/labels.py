"""Class indices and names from the labels in the user's data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.standardise import in_words

__all__ = ["encode_labels", "small_classes"]

_SMALLEST_CLASS = 3
_MANY_CLASSES = 100
_FEW_EXAMPLES = 10


def encode_labels(values: NDArray[Any], source: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Numbers the classes of labels of any type, one an example, in sorted order.

    Returns:
        The class indices, int64 ``[n]`` in ``0 … classes − 1``, and one name a class.

    Raises:
        DataError: If the labels are not one per example, are of another type or NaN, look like a
            quantity instead of classes, are all the same, or if a class has fewer examples than
            the three splits need.
    """
    if values.ndim != 1:
        raise DataError(
            f"{source}: labels must be one number or name per example, [n], but their shape is "
            f"{values.shape}: for one-hot labels pass labels.argmax(axis=1)"
        )
    if values.dtype.kind not in "biufU":
        raise DataError(
            f"{source}: labels must be integers or strings, but their dtype is {values.dtype}: "
            "convert them, for example with labels.astype('int64') or labels.astype('str')"
        )
    numeric = values.dtype.kind in "iuf"
    if numeric:
        values = _checked_numbers(values, source)
    found, indices, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(found) < 2:
        raise DataError(
            f"{source}: labels must name at least 2 classes, but hold {len(found)} "
            f"({', '.join(repr(value) for value in found.tolist()) or 'there are no examples'}): "
            "add examples of another class, or choose another target"
        )
    if numeric and _is_quantity(found, len(values)):
        raise DataError(
            f"{source}: labels must be classes, but are numbers with {len(found)} distinct values "
            f"in {len(values)} examples, which is regression, while greenfront needs "
            "classification: choose another target, or sort the values into a few named ranges"
        )
    names = tuple(str(value) for value in found.tolist())
    small = small_classes(names, counts, _SMALLEST_CLASS)
    if small:
        raise DataError(
            f"{source}: a class needs at least {_SMALLEST_CLASS} examples, one each to train, "
            f"validate and test, but there are only {small}: add examples, merge the "
            "class with another, or remove it"
        )
    return indices.astype(np.int64), names


def small_classes(names: Sequence[str], counts: NDArray[np.int64], least: int) -> str:
    """Names the classes with fewer than ``least`` examples; empty where there are none."""
    named = zip(names, counts.tolist(), strict=True)
    return in_words({f"class {name!r}": count for name, count in named if count < least})


def _checked_numbers(values: NDArray[Any], source: str) -> NDArray[Any]:
    unusable = int(np.count_nonzero(~np.isfinite(values)))
    if unusable:
        raise DataError(
            f"{source}: every example needs a label, but {unusable} of {len(values)} labels are "
            "NaN or infinite: label these examples, or remove them"
        )
    # Class 3 is called "3", though a column of floats holds 3.0.
    is_whole = bool(np.all(values == np.floor(values)) and np.all(np.abs(values) < 2**53))
    return values.astype(np.int64) if values.dtype.kind == "f" and is_whole else values


def _is_quantity(found: NDArray[Any], examples: int) -> bool:
    many = len(found) > _MANY_CLASSES
    return many and (found.dtype.kind == "f" or examples < _FEW_EXAMPLES * len(found))

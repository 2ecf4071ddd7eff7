"""What is to be predicted, from the labels in the user's data: classes, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.settings import TargetKind
from greenfront.objectives.tasks.standardise import in_words

__all__ = ["FEW_EXAMPLES", "encode_labels", "small_classes", "target_kind"]

_SMALLEST_CLASS = 3
_FEWEST_NUMBERS = 10
_MANY_CLASSES, _MANY_FRACTIONS = 100, 20
FEW_EXAMPLES = 10
"""Of each whole number on average, where so many of them are a quantity."""


def target_kind(values: NDArray[Any]) -> TargetKind:
    """Whether labels are classes or a number, where the user does not say it.

    Texts and truth values are classes. Numbers are a quantity where they have more distinct values
    than things have classes: whole ones more than 100 with fewer than ten examples each on average,
    fractions more than 20, since few classes are called 0.37, or so many that classes would be too
    small to be split. NaN and infinity are not looked at.
    """
    if values.dtype.kind not in "iuf":
        return "class"
    finite = values[np.isfinite(values)]
    distinct, examples = len(np.unique(finite)), len(finite)
    if _is_whole(finite):
        many = distinct > _MANY_CLASSES and examples < FEW_EXAMPLES * distinct
    else:
        many = distinct > _MANY_FRACTIONS or examples < _SMALLEST_CLASS * distinct
    return "number" if many else "class"


def encode_labels(
    values: NDArray[Any], source: str, kind: TargetKind | None = None
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Labels as they are split and learnt.

    Args:
        values: One an example, of any type.
        source: Name of the data, for messages.
        kind: What they are; ``None``: what :func:`target_kind` takes them for.

    Returns:
        Of classes their indices in sorted order, int64 ``[n]`` in ``0 … classes − 1``, and one name
        a class. Of numbers themselves, float64 ``[n]``, and no names.

    Raises:
        DataError: If the labels are not one per example, are of another type or NaN, are all the
            same, if there are too few of them, or if a class has fewer examples than the three
            splits need.
    """
    if values.ndim != 1:
        raise DataError(
            f"{source}: labels must be one number or name per example, [n], but their shape is "
            f"{values.shape}: for one-hot labels pass labels.argmax(axis=1)"
        )
    if values.dtype.kind not in "biufU":
        raise DataError(
            f"{source}: labels must be numbers or strings, but their dtype is {values.dtype}: "
            "convert them, for example with labels.astype('int64') or labels.astype('str')"
        )
    if values.dtype.kind in "iuf":
        _check_finite(values, source)
    if (kind or target_kind(values)) == "number":
        return _numbers(values, source), ()
    return _classes(values, source)


def small_classes(names: Sequence[str], counts: NDArray[np.int64], least: int) -> str:
    """Names the classes with fewer than ``least`` examples; empty where there are none."""
    named = zip(names, counts.tolist(), strict=True)
    return in_words({f"class {name!r}": count for name, count in named if count < least})


def _numbers(values: NDArray[Any], source: str) -> NDArray[np.float64]:
    if values.dtype.kind not in "iuf":
        raise DataError(
            f"{source}: target_kind = 'number' needs a target of numbers, but its dtype is "
            f"{values.dtype}: correct the cells that are none, or leave target_kind out"
        )
    distinct = len(np.unique(values))
    if distinct < 2 or len(values) < _FEWEST_NUMBERS:
        raise DataError(
            f"{source}: a target that is a number must have at least {_FEWEST_NUMBERS} examples "
            f"and 2 values, but has {len(values)} and {distinct}: add examples, or choose another "
            "target"
        )
    return values.astype(np.float64)


def _classes(values: NDArray[Any], source: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if values.dtype.kind == "f" and _is_whole(values):
        values = values.astype(np.int64)  # class 3 is called "3", though it is held as 3.0
    found, indices, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(found) < 2:
        raise DataError(
            f"{source}: labels must name at least 2 classes, but hold {len(found)} "
            f"({', '.join(repr(value) for value in found.tolist()) or 'there are no examples'}): "
            "add examples of another class, or choose another target"
        )
    names = tuple(str(value) for value in found.tolist())
    small = small_classes(names, counts, _SMALLEST_CLASS)
    if small:
        raise DataError(
            f"{source}: a class needs at least {_SMALLEST_CLASS} examples, one each to train, "
            f"validate and test, but there are only {small}: add examples, merge the "
            "class with another, or remove it" + _as_numbers(values)
        )
    return indices.astype(np.int64), names


def _as_numbers(values: NDArray[Any]) -> str:
    if values.dtype.kind not in "iuf":
        return ""
    return "; if the labels are a quantity, say target_kind = 'number' in [task]"


def _check_finite(values: NDArray[Any], source: str) -> None:
    unusable = int(np.count_nonzero(~np.isfinite(values)))
    if unusable:
        raise DataError(
            f"{source}: every example needs a label, but {unusable} of {len(values)} labels are "
            "NaN or infinite: label these examples, or remove them"
        )


def _is_whole(values: NDArray[Any]) -> bool:
    return bool(np.all(values == np.floor(values)) and np.all(np.abs(values) < 2**53))

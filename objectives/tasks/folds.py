"""Folds: the validation split taken in turn from all that is not for the test."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.copies import grouped_copies, nearest_cut
from greenfront.objectives.tasks.task import Split

__all__ = ["possible_folds", "rotated"]

Indices = Mapping[Split, NDArray[np.int64]]


def possible_folds(
    indices: Indices, labels: NDArray[np.int64], first: NDArray[np.int64] | None = None
) -> int:
    """How many folds there are: the split at hand, and one a part of its training rows.

    The parts are about as large as the validation split.

    Args:
        indices: Rows of each split.
        labels: Class of each row ``[n]``; 0 of all where the target is a number.
        first: Of each row the first one that it is a copy of; ``None``: there are no copies.

    Returns:
        1 where the training rows of a class are too few for every part to have one.
    """
    parts = _parts(indices)
    for group in np.unique(labels[indices["train"]]):
        _, cuts = _dealt(indices["train"], labels, group, first, parts)
        if not (np.diff(cuts) > 0).all():
            return 1
    return 1 + parts


def rotated(
    indices: Indices,
    labels: NDArray[np.int64],
    fold: int,
    *,
    seed: int,
    first: NDArray[np.int64] | None = None,
) -> dict[Split, NDArray[np.int64]]:
    """The splits of a fold: stratified like the first ones, the same test split.

    Args:
        indices: Rows of each split, shuffled.
        labels: See :func:`possible_folds`.
        fold: From 0, which is the splits as they are, to :func:`possible_folds` less 1.
        seed: Of the shuffle.
        first: See :func:`possible_folds`; copies stay within one split.

    Returns:
        Disjoint indices, which cover the same rows. Each row but those of the test split is in
        one fold's validation split.
    """
    if not fold:
        return dict(indices)
    parts, train = _parts(indices), indices["train"]
    if not 0 < fold <= parts:
        raise ValueError(f"fold must be from 0 to {parts}, got {fold}")
    judged, learnt = [], [indices["validation"]]
    for group in np.unique(labels[train]):
        rows, cuts = _dealt(train, labels, group, first, parts)
        begin, end = cuts[fold - 1 : fold + 1]
        judged.append(rows[begin:end])
        learnt += [rows[:begin], rows[end:]]
    random = np.random.default_rng([seed, fold])
    found: dict[Split, NDArray[np.int64]] = {
        "train": random.permutation(np.concatenate(learnt)),
        "validation": random.permutation(np.concatenate(judged)),
    }
    return {split: found.get(split, rows) for split, rows in indices.items()}


def _parts(indices: Indices) -> int:
    return max(1, round(len(indices["train"]) / len(indices["validation"])))


def _dealt(
    train: NDArray[np.int64],
    labels: NDArray[np.int64],
    group: np.int64,
    first: NDArray[np.int64] | None,
    parts: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One class's rows, and between which of them its parts begin and end, ``[parts + 1]``."""
    members = train[labels[train] == group]
    rows, ends = grouped_copies(members, first, most=len(members))
    inner = [
        nearest_cut(ends, round(len(rows) * part / parts), behind=0) for part in range(1, parts)
    ]
    return rows, np.array([0, *inner, len(rows)])

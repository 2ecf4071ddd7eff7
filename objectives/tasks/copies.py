"""Examples that are copies of each other: they must not stand on both sides of a split."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.tasks.task import Split

_HELD_OUT: tuple[Split, ...] = ("validation", "test")

__all__ = ["copy_notes", "first_copies", "grouped_copies", "nearest_cut"]


def first_copies(examples: Iterable[Hashable]) -> NDArray[np.int64]:
    """The index of the first example that each is a copy of: its own where there is none."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(key, index) for index, key in enumerate(examples)], np.int64)


def grouped_copies(
    rows: NDArray[np.int64], first: NDArray[np.int64] | None, *, most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Puts each row's copies behind it.

    Args:
        rows: Indices of examples, in any order.
        first: What :func:`first_copies` gives for all examples; ``None``: there are no copies.
        most: Examples with more copies than this come last, where the training split is cut.

    Returns:
        The same rows, where each is followed by its copies, otherwise in their order; and the
        places at which they may be cut without parting copies, ascending, in ``1 … len(rows)``.
    """
    if first is None or not len(rows):
        return rows, np.arange(1, len(rows) + 1)
    _, appearance, group, sizes = np.unique(
        first[rows], return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((appearance[group], sizes[group] > most))
    return rows[order], np.flatnonzero(np.append(np.diff(appearance[group][order]), 1)) + 1


def nearest_cut(ends: NDArray[np.int64], wanted: int, *, behind: int) -> int:
    """The place nearest to ``wanted`` at which rows may be cut, with enough groups on both sides.

    Args:
        ends: Where they may be cut, as :func:`grouped_copies` gives them.
        wanted: Number of rows before the cut, were there no copies.
        behind: Groups that have to be left behind it.

    Returns:
        Rows before the cut; ``wanted`` where there are too few groups to choose from.
    """
    possible = ends[: len(ends) - behind] if behind else ends
    if not len(possible):
        return wanted
    return int(possible[np.argmin(np.abs(possible - wanted))])


def copy_notes(
    first: NDArray[np.int64] | None,
    labels: NDArray[np.int64],
    indices: Mapping[Split, NDArray[np.int64]],
) -> list[str]:
    """What is to be known of copies, in words.

    Args:
        first: What :func:`first_copies` gives; ``None``: copies were not looked for.
        labels: Class of each example.
        indices: Of each split.
    """
    if first is None:
        return []
    copies = int(np.count_nonzero(first != np.arange(len(first))))
    if not copies:
        return []

    def trained(keys: NDArray[np.int64]) -> dict[Split, int]:
        return {
            split: int(np.isin(keys[indices[split]], keys[indices["train"]]).sum())
            for split in _HELD_OUT
        }

    # One of another class is no help: what was learnt of it is wrong.
    torn = trained(first * (int(labels.max()) + 1) + labels)
    told = f"{copies} of the {len(first)} examples are copies of others"
    parted = any(trained(first).values())
    notes = [told if parted else f"{told}, which are kept within one split"]
    notes += [
        f"{count} of the {len(indices[split])} examples of the {split} split are copies of ones to "
        "train on: what is measured there flatters"
        for split, count in torn.items()
        if count
    ]
    contradicting = len(np.unique(first[labels != labels[first]]))
    if contradicting:
        notes.append(
            f"of {contradicting} of them the copies are of different classes, which no model can "
            "tell apart"
        )
    return notes

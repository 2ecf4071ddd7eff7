"""From raw data to a task: the three splits, the encoded inputs and the facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.labels import encode_labels
from greenfront.objectives.tasks.raw import Raw, buffer
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Labelled, Split, Task, TaskFacts

__all__ = ["assemble", "split_indices"]


def assemble(raw: Raw, settings: TaskSettings, *, seed: int) -> Task:
    """Splits raw data and encodes them with what the training split says.

    Args:
        raw: What a loader read.
        settings: The fractions of the splits, and the task's name.
        seed: Of the split, 0 or more.

    Returns:
        The task. The same data, settings and seed give the same task.

    Raises:
        DataError: If labels do not match the inputs, are no classes, or if a class is too small.
    """
    if len(raw.inputs) != len(raw.labels):
        raise DataError(
            f"{raw.source}: every input needs one label, but there are {len(raw.inputs)} inputs "
            f"and {len(raw.labels)} labels: check what wrote them"
        )
    labels, class_names = encode_labels(raw.labels, raw.source)
    indices = split_indices(
        labels,
        validation_fraction=settings.validation_fraction,
        test_fraction=settings.test_fraction,
        seed=seed,
    )
    inputs = raw.inputs.encode(indices["train"])
    splits = {
        split: Labelled(inputs=inputs[rows], labels=labels[rows]) for split, rows in indices.items()
    }
    facts = TaskFacts(
        name=settings.name,
        input_shape=inputs.shape[1:],
        class_names=class_names,
        sizes={split: len(part) for split, part in splits.items()},
        majority_fraction=_majority_fraction(splits["train"], splits["validation"]),
        fingerprint=_hash(_parts(raw, labels, class_names, indices, settings)),
    )
    return Task(facts, splits["train"], splits["validation"], splits["test"])


def split_indices(
    labels: NDArray[np.int64], *, validation_fraction: float, test_fraction: float, seed: int
) -> dict[Split, NDArray[np.int64]]:
    """Deals the examples of each class to the three splits.

    Each class gives each split its fraction, rounded, and at least one example: a class that is
    nowhere to be trained on or judged on would make accuracy a matter of luck.

    Args:
        labels: Class indices ``[n]``, each class at least 3 times.
        validation_fraction: Above 0; with ``test_fraction`` below 1.
        test_fraction: Above 0.
        seed: Of the shuffle, 0 or more.

    Returns:
        Disjoint indices of each split, shuffled, int64; together they cover all examples.
    """
    rng = np.random.default_rng(seed)
    dealt: dict[Split, list[NDArray[np.int64]]] = {"train": [], "validation": [], "test": []}
    for index in range(int(labels.max()) + 1):
        members = rng.permutation(np.flatnonzero(labels == index))
        test = _share(test_fraction, len(members), most=len(members) - 2)
        validation = _share(validation_fraction, len(members), most=len(members) - test - 1)
        dealt["test"].append(members[:test])
        dealt["validation"].append(members[test : test + validation])
        dealt["train"].append(members[test + validation :])
    return {split: rng.permutation(np.concatenate(parts)) for split, parts in dealt.items()}


def _share(fraction: float, examples: int, *, most: int) -> int:
    return min(max(1, round(fraction * examples)), most)


def _majority_fraction(train: Labelled, validation: Labelled) -> float:
    majority = np.bincount(train.labels).argmax()
    return float(np.mean(validation.labels == majority))


def _parts(
    raw: Raw,
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    indices: dict[Split, NDArray[np.int64]],
    settings: TaskSettings,
) -> Iterator[bytes | memoryview]:
    # Not the path: data that were moved are still the same data.
    yield json.dumps({**asdict(settings), "path": None}, sort_keys=True).encode()
    yield from raw.inputs.parts()
    yield json.dumps(class_names).encode()
    yield buffer(labels)
    for rows in indices.values():
        yield buffer(rows)


def _hash(parts: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))  # so that parts cannot run into each other
        digest.update(part)
    return digest.hexdigest()

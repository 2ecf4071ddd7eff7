"""Splitting and encoding raw data, and the facts of the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.cache import MAPPED_BYTES, cached_arrays
from greenfront.objectives.tasks.copies import copy_notes, grouped_copies, nearest_cut
from greenfront.objectives.tasks.folds import possible_folds, rotated
from greenfront.objectives.tasks.labels import encode_labels, small_classes
from greenfront.objectives.tasks.predefined_splits import NO_SPLITS, PredefinedSplits
from greenfront.objectives.tasks.preparation import MOST_EXAMPLES, Preparation
from greenfront.objectives.tasks.raw import Inputs, Raw, buffer
from greenfront.objectives.tasks.recipe import recipe_of
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.target_scale import target_scale
from greenfront.objectives.tasks.task import Labelled, Split, TargetScale, Task, TaskFacts

__all__ = ["SplitRows", "assemble", "evaluation_rows", "split_indices", "split_rows"]

_VERBS: dict[Split, str] = {"test": "test", "validation": "validate"}


def assemble(
    raw: Raw, settings: TaskSettings, *, seed: int, cache: Path | None = None, fold: int = 0
) -> Task:
    """Splits raw data and encodes them with the statistics of the training split.

    Large encoded inputs are kept in ``cache``, if given, so that processes share them. ``fold``
    takes other rows for validation, see :func:`~greenfront.objectives.tasks.folds.rotated`; it is
    below the ``folds`` of the task's facts.

    Returns:
        The task. The same data, settings and seed give the same task.

    Raises:
        DataError: If labels do not match the inputs, are no classes, if a class is too small, or
            if the cache cannot be written.
    """
    rows = split_rows(raw, settings, seed=seed)
    labels, class_names, groups = rows.labels, rows.class_names, rows.groups
    copies = raw.first if raw.together else None
    rotates = raw.own.is_validation is None and settings.eval_fraction == 1
    folds = possible_folds(rows.indices, groups, copies) if rotates else 1
    indices = rotated(rows.indices, groups, fold, seed=seed, first=copies)
    fingerprint = _hash(_parts(raw, labels, class_names, indices, settings))
    inputs = _encoded(raw.inputs, indices, fingerprint, cache)
    chosen = evaluation_rows(groups[indices["validation"]], settings.eval_fraction)
    scale: TargetScale | None = None
    if not class_names:
        judged_rows = indices["validation"][chosen]
        scale = target_scale(labels, indices, judged_rows, settings.target or "", raw.source)
        labels = scale.standardised(labels)
    splits = {split: Labelled(inputs[split], labels[part]) for split, part in indices.items()}
    sizes: dict[str, int] = {split: len(part) for split, part in splits.items()}
    whole = judged = splits["validation"]
    if settings.eval_fraction < 1:
        judged = Labelled(_chosen(whole.inputs, chosen, fingerprint, cache), whole.labels[chosen])
        sizes["evaluation"] = len(judged)
        fingerprint = _hash([fingerprint.encode(), buffer(chosen)])
    facts = TaskFacts(
        name=settings.name,
        input_shape=splits["train"].inputs.shape[1:],
        class_names=class_names,
        sizes=sizes,
        majority_fraction=_majority_fraction(splits["train"], judged) if class_names else 0.0,
        fingerprint=fingerprint,
        notes=(*raw.notes, *copy_notes(raw.first, groups, indices)),
        class_counts=_counts([*splits.items(), ("evaluation", judged)], class_names),
        target=scale,
        schema=raw.schema,
        folds=folds,
    )
    some = indices["validation"][chosen][:MOST_EXAMPLES]
    recipe = recipe_of(raw.inputs, indices["train"])
    preparation = None if recipe is None else Preparation(recipe, recipe.raw(raw.inputs, some))
    return Task(
        *(facts, splits["train"], judged, splits["test"]),
        None if judged is whole else whole,
        preparation,
    )


@dataclass(frozen=True, slots=True)
class SplitRows:
    """The labels of raw data, and which row is in which split.

    Attributes:
        labels: Class indices, int64 ``[n]``, or numbers as they are, float64 ``[n]``.
        class_names: One a class; none where the target is a number.
        indices: Rows of each split.
    """

    labels: NDArray[Any]
    class_names: tuple[str, ...]
    indices: dict[Split, NDArray[np.int64]]

    @property
    def groups(self) -> NDArray[np.int64]:
        """What splits are stratified by: numbers are split as if they were of one class."""
        labels = self.labels
        return labels if self.class_names else np.zeros(len(labels), dtype=np.int64)

    def judged(self, fraction: float) -> NDArray[np.int64]:
        """The rows that trials are judged on: a part of the validation split, or all of it."""
        rows = self.indices["validation"]
        return rows[evaluation_rows(self.groups[rows], fraction)] if fraction < 1 else rows


def split_rows(raw: Raw, settings: TaskSettings, *, seed: int) -> SplitRows:
    """Splits the rows of raw data; :func:`assemble` encodes them, too.

    Raises:
        DataError: As :func:`assemble`.
    """
    if len(raw.inputs) != len(raw.labels):
        raise DataError(
            f"{raw.source}: every input needs one label, but there are {len(raw.inputs)} inputs "
            f"and {len(raw.labels)} labels: check what wrote them"
        )
    kind = settings.target_kind or raw.target_kind
    labels, class_names = encode_labels(raw.labels, raw.source, kind)
    groups = SplitRows(labels, class_names, {}).groups
    _check_trainable(groups, class_names or ("any number",), raw.own, raw.source)
    indices = split_indices(
        groups,
        validation_fraction=settings.validation_fraction,
        test_fraction=settings.test_fraction,
        seed=seed,
        own=raw.own,
        first=raw.first if raw.together else None,
    )
    return SplitRows(labels, class_names, indices)


def split_indices(
    labels: NDArray[np.int64],
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    own: PredefinedSplits = NO_SPLITS,
    first: NDArray[np.int64] | None = None,
) -> dict[Split, NDArray[np.int64]]:
    """Splits the examples, stratified by class.

    Each split gets its fraction of each class, rounded, and at least one example.

    Args:
        labels: Class indices ``[n]``, each class at least 3 times.
        validation_fraction: Above 0; with ``test_fraction`` below 1.
        test_fraction: Above 0.
        seed: Of the shuffle, 0 or more.
        own: Which examples are the test and the validation split, whatever the fractions say;
            each class then has to have enough others for what is left to choose.
        first: Of each example the first one that it is a copy of; copies stay within one split
            where a class has enough that are none. ``None``: there are no copies.

    Returns:
        Disjoint indices of each split, shuffled, int64; together they cover all examples.
    """
    rng = np.random.default_rng(seed)
    chosen: dict[Split, list[NDArray[np.int64]]] = {"train": [], "validation": [], "test": []}
    shares: dict[Split, float] = {"test": test_fraction, "validation": validation_fraction}
    given = own.given()
    is_free = ~np.any([np.zeros(len(labels), dtype=bool), *given.values()], axis=0)
    for index in range(int(labels.max()) + 1):
        is_member = labels == index
        parts = {split: np.flatnonzero(is_member & rows) for split, rows in given.items()}
        others = rng.permutation(np.flatnonzero(is_member & is_free))
        fractions = {split: share for split, share in shares.items() if split not in given}
        for split, rows in {**parts, **_split_class(others, fractions, first)}.items():
            chosen[split].append(rows)
    return {split: rng.permutation(np.concatenate(parts)) for split, parts in chosen.items()}


def _split_class(
    rows: NDArray[np.int64],
    fractions: Mapping[Split, float],
    first: NDArray[np.int64] | None,
) -> dict[Split, NDArray[np.int64]]:
    """Deals one class's rows out in their order, the training split last."""
    most = min(
        (_share(share, len(rows), most=len(rows)) for share in fractions.values()), default=0
    )
    rows, ends = grouped_copies(rows, first, most=most)
    parts, begin = dict[Split, NDArray[np.int64]](), 0
    for place, (split, share) in enumerate(fractions.items()):
        behind = len(fractions) - place
        wanted = _share(share, len(rows), most=len(rows) - begin - behind)
        end = begin + nearest_cut(ends[ends > begin] - begin, wanted, behind=behind)
        parts[split], begin = rows[begin:end], end
    parts["train"] = rows[begin:]
    return parts


def evaluation_rows(labels: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """Places of a part of a split, ascending, stratified by class.

    Each class gives its fraction, rounded, and at least one example: its first ones, so that a
    smaller part lies within a larger one.
    """
    chosen = [
        members[: _share(fraction, len(members), most=len(members))]
        for members in (np.flatnonzero(labels == index) for index in np.unique(labels))
    ]
    return np.sort(np.concatenate(chosen))


def _check_trainable(
    labels: NDArray[np.int64], class_names: tuple[str, ...], own: PredefinedSplits, source: str
) -> None:
    brought = own.given()
    if not brought:
        return
    wanted = ["train", *(verb for name, verb in _VERBS.items() if name not in brought)]
    others = np.bincount(
        labels[~np.any(list(brought.values()), axis=0)], minlength=len(class_names)
    )
    small = small_classes(class_names, others, len(wanted))
    if small:
        named = " and ".join(brought)
        raise DataError(
            f"{source}: a class needs at least {len(wanted)} examples besides those of the "
            f"{named} split, one each to {' and '.join(wanted)}, but there are only {small}: "
            f"add examples, or remove the class from the {named} split"
        )


def _encoded(
    inputs: Inputs, indices: dict[Split, NDArray[np.int64]], fingerprint: str, cache: Path | None
) -> Mapping[str, NDArray[Any]]:
    """Each split's encoded inputs, of large data from files."""

    def build() -> Iterator[tuple[str, NDArray[Any]]]:
        everything = inputs.encode(indices["train"])
        for split, rows in indices.items():
            yield split, everything[rows]

    if cache is None or inputs.encoded_bytes() < MAPPED_BYTES:
        return dict(build())
    return cached_arrays(_file(cache, fingerprint), tuple(indices), build)


def _chosen(
    inputs: NDArray[Any], rows: NDArray[np.int64], fingerprint: str, cache: Path | None
) -> NDArray[Any]:
    """Some examples, of large data from a file."""
    size = inputs.nbytes // len(inputs) * len(rows)
    if cache is None or inputs.dtype == object or size < MAPPED_BYTES:
        return inputs[rows]
    name = f"evaluation-{len(rows)}"
    path = _file(cache, fingerprint)
    return cached_arrays(path, (name,), lambda: [(name, inputs[rows])])[name]


def _file(cache: Path, fingerprint: str) -> Path:
    # The fingerprint covers all that encoded inputs follow from.
    return cache / f"encoded-{fingerprint[:32]}"


def _share(fraction: float, examples: int, *, most: int) -> int:
    return min(max(1, round(fraction * examples)), most)


def _majority_fraction(train: Labelled, validation: Labelled) -> float:
    majority = np.bincount(train.labels).argmax()
    return float(np.mean(validation.labels == majority))


def _counts(
    splits: Iterable[tuple[str, Labelled]], class_names: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(np.bincount(split.labels, minlength=len(class_names)).tolist())
        for name, split in splits
        if class_names
    }


def _parts(
    raw: Raw,
    labels: NDArray[Any],
    class_names: tuple[str, ...],
    indices: dict[Split, NDArray[np.int64]],
    settings: TaskSettings,
) -> Iterator[bytes | memoryview]:
    yield json.dumps(settings.identity(), sort_keys=True).encode()
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

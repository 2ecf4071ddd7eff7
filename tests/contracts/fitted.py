"""Fitted models of every family on small data, for tests of their files."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from contracts.texts import sentences
from greenfront.objectives.stages.fit import fit_estimator
from greenfront.objectives.tasks.task import Labelled
from greenfront.spaces.architectures.estimator import Estimator, Target
from greenfront.spaces.architectures.sklearn import ESTIMATORS
from greenfront.spaces.knobs import Value

__all__ = ["CASES", "Case", "fitted", "numbers"]

Case = tuple[str, int]
"""Name of a family, and number of classes; 0 for numbers."""

CASES: tuple[Case, ...] = tuple(
    (name, classes)
    for name, family in ESTIMATORS.items()
    for classes in (2, 3, 0)
    if ("classes" if classes else "numbers") in family.targets
)

SMALL: Mapping[str, Mapping[str, Value]] = {
    "sklearn:extra_trees": {"trees": 10},
    "sklearn:hist_gradient_boosting": {"rounds": 25},
}


def numbers(count: int, classes: int, shape: tuple[int, ...], seed: int) -> Labelled:
    """Overlapping classes, or a bent function of the inputs."""
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((count, *shape)).astype(np.float32)
    flat = inputs.reshape(count, -1)
    score = flat[:, 0] + np.abs(flat[:, 1]) + 0.3 * rng.standard_normal(count)
    if not classes:
        return Labelled(inputs, score.astype(np.float32))
    edges = np.quantile(score, np.arange(1, classes) / classes)
    return Labelled(inputs, np.digitize(score, edges))


def texts(family: Estimator, count: int, classes: int, seed: int) -> Labelled:
    corpus, _ = sentences(90, seed=0)
    found, labels = sentences(count, seed=seed)
    inputs = family.encode(family.baseline(), found, corpus)
    if not classes:
        return Labelled(inputs, labels.astype(np.float32) - 1)
    return Labelled(inputs, np.minimum(labels, classes - 1))


@functools.cache
def fitted(
    name: str, classes: int, shape: tuple[int, ...] = (6,)
) -> tuple[Any, Labelled, tuple[int, ...]]:
    """A fitted estimator, examples that it has not seen, and the shape of one input."""
    family = ESTIMATORS[name]()
    if family.padding is not None:
        train, other = texts(family, 90, classes, 0), texts(family, 60, classes, 1)
        shape = ()
    else:
        train, other = numbers(200, classes, shape, 0), numbers(150, classes, shape, 1)
    target: Target = "classes" if classes else "numbers"
    model = family.estimator({**family.baseline(), **SMALL.get(name, {})}, target, 3)
    stop_by = other if family.stops_early else None
    fit_estimator(model, train, stop_by, classes=classes or None, threads=1)
    return model, other, shape

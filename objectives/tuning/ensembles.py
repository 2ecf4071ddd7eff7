"""Which models of a study answer best together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from greenfront.objectives.stages.ensemble import mean_answers
from greenfront.objectives.stages.fitted_export import LEAST_PROBABILITY
from greenfront.objectives.tuning.members import Validation, read_alike
from greenfront.objectives.tuning.plans import Member

__all__ = ["MOST_TOGETHER", "best_together"]

MOST_TOGETHER = 4
"""Models of an ensemble: a fifth costs as much as each of the others and adds hardly anything."""


def best_together(members: Sequence[Member], validation: Validation, root: Path) -> list[int]:
    """The two to four of some models that answer best together.

    Of all that are better than the first model by itself, in the study's metric and in their loss,
    those of the least loss: of classes the negative logarithm of the mean probability of the right
    one, of numbers the square of the mean error. Where few examples tell the best sets apart, a
    metric that counts decisions picks a lucky one; the loss, in which each example has its weight,
    does so less.

    Args:
        members: What may be joined, the most accurate first; those whose files are gone, or that
            read other inputs than the first, are passed over.
        validation: Judges them.
        root: Of the lineage store.

    Returns:
        Numbers of their trials, in the order given; empty where none are better together.
    """
    there = [each for each in members if (root / each.artefact).is_file()]
    able = [each for each in there if read_alike(there[0], each, validation)]
    if len(able) < 2:
        return []
    metric = validation.runtime.judged_by.metric
    answers = [validation.answers(root / each.artefact, each.model) for each in able]
    alone = metric.gain(validation.score(answers[0]))
    for chosen in _least_loss_first(answers, validation.labels, numbers=metric.of_numbers):
        together = mean_answers([answers[one] for one in chosen], numbers=metric.of_numbers)
        if metric.gain(validation.score(together)) > alone:
            return [able[one].trial for one in chosen]
    return []


def _least_loss_first(
    answers: Sequence[NDArray[np.float32]], labels: NDArray[Any], *, numbers: bool
) -> list[tuple[int, ...]]:
    """All sets of as many models as may be together that lose less than the first by itself."""
    if numbers:
        each = [given[:, 0] - labels for given in answers]
    else:
        rows = np.arange(len(labels))
        each = [torch.from_numpy(given).softmax(1).numpy()[rows, labels] for given in answers]

    def loss(chosen: tuple[int, ...]) -> float:
        mean = np.mean([each[one] for one in chosen], axis=0)
        if numbers:
            return float(np.square(mean).mean())
        return -float(np.log(np.maximum(mean, LEAST_PROBABILITY)).mean())

    sizes = range(2, MOST_TOGETHER + 1)
    sets = itertools.chain(*(itertools.combinations(range(len(each)), size) for size in sizes))
    losses = {chosen: loss(chosen) for chosen in sets}
    alone = loss((0,))
    return sorted((chosen for chosen in losses if losses[chosen] < alone), key=losses.__getitem__)

"""Which two models of a study make a cascade that is worth building, and at what threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.stages.cascade import merged_answers, sureness
from greenfront.objectives.tuning.members import Validation, read_alike
from greenfront.objectives.tuning.plans import CascadePlan, Member

__all__ = ["cascade_plans"]

SHARES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
"""Of the validation examples that are passed on: few, so that the choice among them is no luck."""

CHEAPER = 0.9
"""Of the energy of the model that it replaces a cascade is expected to take, at most."""


def cascade_plans(
    members: Sequence[Member], target: int, validation: Validation, root: Path
) -> list[CascadePlan]:
    """For each pair the cheapest cascade that is as accurate as a model, the cheapest first.

    Args:
        members: What may be joined; those whose files are gone are passed over.
        target: Number of the trial, one of the members, whose score is to be kept.
        validation: Chooses the threshold.
        root: Of the lineage store.

    Returns:
        Of pairs that read the same inputs; none where numbers are predicted: without classes
        nothing says how sure a model is.
    """
    metric = validation.runtime.judged_by.metric
    if metric.of_numbers:
        return []
    there = [each for each in members if (root / each.artefact).is_file()]
    answers = {each.trial: validation.answers(root / each.artefact, each.model) for each in there}
    wanted = next((each for each in there if each.trial == target), None)
    if wanted is None:
        return []
    least = metric.gain(validation.score(answers[target]))
    best = min(
        each.joules for each in there if metric.gain(validation.score(answers[each.trial])) >= least
    )
    found = []
    for one in there:
        for other in there:
            if one.joules >= CHEAPER * best or other.joules <= one.joules:
                continue
            if not read_alike(one, other, validation):
                continue
            plans = _plans(one, other, answers[one.trial], answers[other.trial], validation)
            kept = (plan for plan in plans if metric.gain(plan.score) >= least)
            plan = min(kept, key=lambda each: each.joules, default=None)
            if plan is not None and plan.joules < CHEAPER * best:
                found.append(plan)
    return sorted(found, key=lambda plan: plan.joules)


def _plans(
    one: Member,
    other: Member,
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    validation: Validation,
) -> Iterator[CascadePlan]:
    order = np.sort(sureness(first))
    for share in SHARES:
        place = round(share * len(order))
        if not 0 < place < len(order) or order[place] == order[place - 1]:
            continue
        # Half way between two examples, so that rounding moves none to the other side.
        threshold = float((order[place - 1] + order[place]) / 2)
        score = validation.score(merged_answers(first, second, threshold))
        passed_on = place / len(order)
        joules = one.joules + passed_on * other.joules
        yield CascadePlan(one.trial, other.trial, threshold, passed_on, score, joules)

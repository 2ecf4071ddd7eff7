"""Which models of a study answer best together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from greenfront.objectives.stages.ensemble import mean_answers
from greenfront.objectives.tuning.members import Validation, read_alike
from greenfront.objectives.tuning.plans import EnsemblePlan, Member

__all__ = ["ensemble_plan"]


def ensemble_plan(
    members: Sequence[Member], validation: Validation, root: Path
) -> EnsemblePlan | None:
    """The first two, three, … of some models, whichever answer best together.

    So few are compared that the choice among them is hardly luck.

    Args:
        members: What may be joined, in the order in which they are taken; those whose files are
            gone, or that read other inputs than the first, are passed over.
        validation: Judges them.
        root: Of the lineage store.

    Returns:
        Of several that are equally good the smallest; ``None`` where fewer than two can be joined.
    """
    there = [each for each in members if (root / each.artefact).is_file()]
    able = [each for each in there if read_alike(there[0], each, validation)]
    metric = validation.runtime.judged_by.metric
    answers = [validation.answers(root / each.artefact, each.model) for each in able]
    plans = [
        EnsemblePlan(
            tuple(each.trial for each in able[:count]),
            validation.score(mean_answers(answers[:count], numbers=metric.of_numbers)),
            validation.score(answers[0]),
        )
        for count in range(2, len(able) + 1)
    ]
    return max(plans, key=lambda plan: metric.gain(plan.score), default=None)

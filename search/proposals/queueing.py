"""What a study tries before its sampler is asked, and what comes to nothing since it was tried."""

from __future__ import annotations

from typing import Any

import optuna

from greenfront.search.runs.recovery import REFERENCE, tell
from greenfront.search.search_context import SearchContext

__all__ = ["queue_first_generation", "tell_unclaimed"]

DUPLICATE = "greenfront:duplicate"
"""Attribute of a trial that was told what another one of the same candidate has found."""


def queue_first_generation(context: SearchContext[Any]) -> set[str]:
    """Queues what of it was not queued before: a raised budget may bring more of it.

    Args:
        context: The search, whose archive is refreshed.

    Returns:
        Keys of all that was ever queued.
    """
    problem, optuna_study, archive = context.problem, context.optuna_study, context.archive
    decode, known = problem.space.decode, optuna_study.get_trials(deepcopy=False)
    queued = {
        decode(trial.system_attrs["fixed_params"]).key
        for trial in known
        if trial.system_attrs.get("fixed_params")
    }
    queued |= {str(trial.user_attrs.get(REFERENCE)) for trial in known}
    if not context.study.queued:  # a study that was begun without references goes on without them
        for key in [key for key in context.references if key not in queued]:
            optuna_study.enqueue_trial({}, user_attrs={REFERENCE: key})
    for point in problem.first_generation():
        key = decode(point).key
        if key not in queued and not archive.tried(key):
            optuna_study.enqueue_trial(dict(point))
            queued.add(key)
    context.study.mark_queued()
    return queued


def tell_unclaimed(context: SearchContext[Any], trial: optuna.Trial, key: str) -> None:
    """Tells Optuna what is known of a candidate that another worker has begun already."""
    study, archive = context.optuna_study, context.archive
    archive.refresh()
    values = archive.values(key)
    if values is None:
        tell(study, trial.number, "failed")
        return
    trial.set_user_attr(DUPLICATE, key)
    tell(study, trial.number, "complete", archive.told(values))

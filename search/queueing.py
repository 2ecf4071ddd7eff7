"""What a study tries before its sampler is asked, and what comes to nothing since it was tried."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import optuna

from greenfront.search.archive import Archive
from greenfront.search.problem import Problem
from greenfront.search.recovery import REFERENCE, tell
from greenfront.studies.store.study import Study

__all__ = ["queue_first_generation", "tell_unclaimed"]

DUPLICATE = "greenfront:duplicate"
"""Attribute of a trial that was told what another one of the same candidate has found."""


def queue_first_generation(
    problem: Problem[Any],
    references: Collection[str],
    study: Study,
    optuna_study: optuna.Study,
    archive: Archive,
) -> set[str]:
    """Queues what of it was not queued before: a raised budget may bring more of it.

    Args:
        problem: The problem.
        references: Keys of the candidates outside of the space.
        study: Ours, which remembers that it was done.
        optuna_study: Optuna's, which holds the queue.
        archive: Refreshed.

    Returns:
        Keys of all that was ever queued.
    """
    decode, known = problem.space.decode, optuna_study.get_trials(deepcopy=False)
    queued = {
        decode(trial.system_attrs["fixed_params"]).key
        for trial in known
        if trial.system_attrs.get("fixed_params")
    }
    queued |= {str(trial.user_attrs.get(REFERENCE)) for trial in known}
    if not study.queued:  # a study that was begun without references goes on without them
        for key in [key for key in references if key not in queued]:
            optuna_study.enqueue_trial({}, user_attrs={REFERENCE: key})
    for point in problem.first_generation():
        key = decode(point).key
        if key not in queued and not archive.tried(key):
            optuna_study.enqueue_trial(dict(point))
            queued.add(key)
    study.mark_queued()
    return queued


def tell_unclaimed(study: optuna.Study, trial: optuna.Trial, key: str, archive: Archive) -> None:
    """Tells Optuna what is known of a candidate that another worker has begun already."""
    archive.refresh()
    values = archive.values(key)
    if values is None:
        tell(study, trial.number, "failed")
        return
    trial.set_user_attr(DUPLICATE, key)
    tell(study, trial.number, "complete", archive.told(values))

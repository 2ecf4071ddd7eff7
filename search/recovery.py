"""Bringing to an end, or back into the queue, what runs that died left half done."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.trial import TrialState

from greenfront.studies.store.runs import Runs
from greenfront.studies.store.trials import FINISHED, Trials
from greenfront.studies.store.trials import TrialState as GreenfrontState

__all__ = ["adopt_dead_runs", "drop_unclaimed", "tell"]

SLOT = "greenfront:slot"
"""Attribute of a queued trial: the slot whose interrupted trial it takes up again."""


def adopt_dead_runs(study: optuna.Study, book: Trials, runs: Runs) -> None:
    """Queues interrupted trials again and tells Optuna what it was not told.

    Safe to call at any time and by several processes at once: a trial is taken from a dead run
    once, and what was queued twice is claimed once.

    Args:
        study: Optuna's.
        book: The study's trials.
        runs: Of the study.
    """
    book.requeue(runs.dead())
    by_number = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    queued = {t.user_attrs.get(SLOT) for t in by_number.values() if t.state == TrialState.WAITING}
    for row in book.all():
        trial = by_number.get(row.number)
        if trial is None:
            continue
        if row.state == "requeued":
            tell(study, trial.number, "failed")
            if row.slot not in queued:
                study.enqueue_trial(trial.params, user_attrs={SLOT: row.slot})
        elif row.state in FINISHED and trial.state == TrialState.RUNNING:
            tell(study, row.number, row.state, row.values)


def drop_unclaimed(study: optuna.Study, book: Trials) -> None:
    """Ends trials that were asked for and never claimed; what had been queued is queued again.

    Only for the start of a run that is alone: another run may be about to claim one.
    """
    claimed = {row.number for row in book.all()}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.number not in claimed:
            tell(study, trial.number, "failed")
            fixed = trial.system_attrs.get("fixed_params")
            if fixed:
                study.enqueue_trial(fixed, user_attrs=dict(trial.user_attrs))


def tell(
    study: optuna.Study,
    number: int,
    state: GreenfrontState,
    values: Sequence[float] | None = None,
) -> None:
    """Tells Optuna how a trial ended; a trial that Optuna knows to be over stays as it is."""
    match state:
        case "complete":
            study.tell(number, values, skip_if_finished=True)
        case "infeasible" if values is not None:
            # Its broken constraint was set before: samplers learn from it, the front leaves it out.
            study.tell(number, values, skip_if_finished=True)
        case "stopped":
            study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
        case _:
            study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

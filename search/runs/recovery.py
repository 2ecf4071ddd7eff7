"""Recovery from dead runs: finishes or queues again what they left half done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import optuna
from optuna.trial import TrialState

from greenfront.studies.store.runs import Runs
from greenfront.studies.store.trials import FINISHED, Trials
from greenfront.studies.store.trials import TrialState as GreenfrontState

__all__ = ["REFERENCE", "SLOT", "Told", "adopt_dead_runs", "drop_unclaimed", "tell", "too_late"]

REFERENCE = "greenfront:reference"
"""Attribute of a trial outside of the space: its candidate's key. Optuna is told that it failed,
since no sampler looks at failed ones: with a trial that has no knobs, what all trials have in
common would be nothing."""

Told = Callable[[Sequence[float]], Sequence[float]]
"""What Optuna learns of a trial's values."""

SLOT = "greenfront:slot"
"""Attribute of a queued trial: the slot whose interrupted trial it takes up again."""


def adopt_dead_runs(
    study: optuna.Study,
    trials: Trials,
    runs: Runs,
    *,
    raced: bool = False,
    told: Told = lambda values: values,
) -> None:
    """Queues interrupted trials again and tells Optuna of those that it does not know to be over.

    Safe to call at any time and by several processes at once: a trial is taken from a dead run
    once, and a trial that is queued twice is claimed once.

    Args:
        study: Optuna's.
        trials: Ours.
        runs: Of the study.
        raced: Whether a :class:`~greenfront.search.proposals.racing.Race` goes on with what was
            interrupted, where it stopped: then Optuna's trial goes on, too.
        told: What Optuna learns of a trial's values.
    """
    trials.requeue(runs.dead())
    by_number = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    queued = {t.user_attrs.get(SLOT) for t in by_number.values() if t.state == TrialState.WAITING}
    for row in trials.all():
        trial = by_number.get(row.number)
        if trial is None:
            continue
        if row.state == "requeued" and not raced:
            tell(study, trial.number, "failed")
            if row.slot not in queued:
                attributes = {**trial.user_attrs, SLOT: row.slot}
                study.enqueue_trial(trial.params, user_attrs=attributes)
        elif row.state in FINISHED and trial.state == TrialState.RUNNING:
            outside = REFERENCE in trial.user_attrs
            learnt = None if row.values is None else told(row.values)
            tell(study, row.number, "failed" if outside else row.state, learnt)


def drop_unclaimed(study: optuna.Study, trials: Trials) -> None:
    """Ends trials that were asked for but never claimed; queued ones are queued again.

    Only for the start of a run that is alone: another run may be about to claim one.
    """
    claimed = {row.number for row in trials.all()}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.number not in claimed:
            tell(study, trial.number, "failed")
            fixed = trial.system_attrs.get("fixed_params")
            if fixed is not None:
                study.enqueue_trial(fixed, user_attrs=dict(trial.user_attrs))


def too_late(number: int) -> str:
    """Says that the result of a trial does not count: its run was suspended and taken for dead."""
    return (
        f"trial {number} ended too late, its result is dropped: this run was silent for so long "
        "that another one has taken the trial over"
    )


def tell(
    study: optuna.Study, number: int, state: GreenfrontState, values: Sequence[float] | None = None
) -> None:
    """Tells Optuna how a trial ended; a trial that Optuna knows to be over stays as it is."""
    # Between its look and its write another run may have told the same.
    with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
        if state == "complete" or (state == "infeasible" and values is not None):
            # An infeasible one's constraint was set before: samplers learn it, no front holds it.
            study.tell(number, values, skip_if_finished=True)
        else:
            ended = TrialState.PRUNED if state == "stopped" else TrialState.FAIL
            study.tell(number, state=ended, skip_if_finished=True)

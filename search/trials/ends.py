"""How a trial's end is written down, and which ends put an end to the search."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError

from greenfront.errors import SearchAborted
from greenfront.search.runs.recovery import tell, too_late
from greenfront.search.search_context import SearchContext
from greenfront.search.trials.attempt import Attempt, Step
from greenfront.studies.store.trials import TrialState

__all__ = ["TrialEnds"]

SAME_FAILURES = 3
"""Failures in a row of one cause that end the search: the next trial would fail as well."""
OWN_CAUSES = ("cannot prune",)
"""Failures that belong to a candidate's shape, and say nothing of the next one."""


class TrialEnds:
    """Writes trials' ends: into our table, then to Optuna; thread-safe.

    Args:
        context: The search.
    """

    def __init__(self, context: SearchContext[Any]) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._last_causes: list[str | None] = []

    def write(self, step: Step[Any], done: Attempt) -> TrialState | None:
        """Writes one; returns what Optuna was told, ``None`` where it was not this run's to end."""
        context, number, evaluation = self._context, step.trial.number, done.evaluation
        if done.state == "infeasible" and evaluation is not None:
            with contextlib.suppress(UpdateFinishedTrialError):  # taken over; see below
                step.trial.set_constraint("real", len(evaluation.infeasible))
        context.run.known.ended(
            {
                "number": number,
                "key": step.candidate.key,
                "state": done.state,
                "choice": step.candidate.to_json(),
                "values": done.values,
                "detail": evaluation.detail if evaluation else None,
                "reason": done.reason,
                "finished_at": time.time(),
            }
        )
        ours = context.study.trials.finish(
            context.run.run_id,
            number,
            done.state,
            values=done.values,
            detail=evaluation.detail if evaluation else None,
            reason=done.reason,
        )
        context.ledger.merge(number)
        if ours:
            outside = step.candidate.key in context.references
            told: TrialState = "failed" if outside else done.state
            learnt = context.archive.told(evaluation.values) if evaluation else None
            tell(context.optuna_study, number, told, learnt)
            return told
        # This run was suspended and taken for dead: what another one finds counts. In a race
        # Optuna's trial is the other's now, else it was ended when it was taken.
        context.settings.note(too_late(number))
        return None

    def require_progress(self, step: Step[Any], done: Attempt) -> None:
        """Counts failures.

        Raises:
            SearchAborted: The same cause failed several trials in a row.
        """
        if step.candidate.key in self._context.references:
            return
        cause = None if done.cause in OWN_CAUSES else done.cause
        with self._lock:
            self._last_causes.append(cause)
            last = self._last_causes[-SAME_FAILURES:]
        if None not in last and len(last) == SAME_FAILURES and len(set(last)) == 1:
            study = self._context.study
            again = (
                f"greenfront resume {study.name} goes on"
                if study.facts
                else "call optimize_problem again"
            )
            raise SearchAborted(
                f"{SAME_FAILURES} trials in a row failed for the same cause. {done.reason}. Mend "
                f"that, then {again}"
            )

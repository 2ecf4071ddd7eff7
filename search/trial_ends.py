"""How a trial's end is written down, and which ends put an end to the search."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from greenfront.errors import SearchAborted
from greenfront.search.attempt import Attempt, Step
from greenfront.search.recovery import Told, tell, too_late
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.runs import Run
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import TrialState

__all__ = ["TrialEnds"]

SAME_FAILURES = 3
"""Failures in a row of one cause that end the search: the next trial would fail as well."""
OWN_CAUSES = ("cannot prune",)
"""Failures that belong to a candidate's shape, and say nothing of the next one."""


class TrialEnds:
    """Writes trials' ends: into our table, then to Optuna; thread-safe.

    Args:
        study: In an open storage.
        run: This run.
        ledger: Of this run.
        optuna_study: Optuna's.
        references: Keys of the candidates outside of the space: Optuna is told nothing of them, and
            the search does without them.
        note: Takes messages for the user.
        told: What Optuna learns of a trial's values.
    """

    def __init__(
        self,
        study: Study,
        run: Run,
        ledger: LedgerWriter,
        optuna_study: optuna.Study,
        references: Collection[str],
        *,
        note: Callable[[str], None],
        told: Told,
    ) -> None:
        self._study = study
        self._run = run
        self._ledger = ledger
        self._optuna_study = optuna_study
        self._references = references
        self._note = note
        self._told = told
        self._lock = threading.Lock()
        self._last_causes: list[str | None] = []

    def write(self, step: Step[Any], done: Attempt) -> TrialState | None:
        """Writes one; returns what Optuna was told, ``None`` where it was not this run's to end."""
        number, evaluation = step.trial.number, done.evaluation
        if done.state == "infeasible" and evaluation is not None:
            with contextlib.suppress(UpdateFinishedTrialError):  # taken over; see below
                step.trial.set_constraint("real", len(evaluation.infeasible))
        self._run.known.ended(
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
        ours = self._study.trials.finish(
            self._run.run_id,
            number,
            done.state,
            values=done.values,
            detail=evaluation.detail if evaluation else None,
            reason=done.reason,
        )
        self._ledger.merge(number)
        if ours:
            outside = step.candidate.key in self._references
            told: TrialState = "failed" if outside else done.state
            learnt = self._told(evaluation.values) if evaluation else None
            tell(self._optuna_study, number, told, learnt)
            return told
        # This run was suspended and taken for dead: what another one finds counts. In a race
        # Optuna's trial is the other's now, else it was ended when it was taken.
        self._note(too_late(number))
        return None

    def require_progress(self, step: Step[Any], done: Attempt) -> None:
        """Counts failures.

        Raises:
            SearchAborted: The same cause failed several trials in a row.
        """
        if step.candidate.key in self._references:
            return
        cause = None if done.cause in OWN_CAUSES else done.cause
        with self._lock:
            self._last_causes.append(cause)
            last = self._last_causes[-SAME_FAILURES:]
        if None not in last and len(last) == SAME_FAILURES and len(set(last)) == 1:
            raise SearchAborted(
                f"{SAME_FAILURES} trials in a row failed for the same cause. {done.reason}. Mend "
                f"that, then greenfront resume {self._study.name} goes on"
            )

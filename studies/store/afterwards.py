"""What is added to a study after its search: finished trials, and facts of those there are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from greenfront.studies.store.tables import trials_table
from greenfront.studies.store.trials import RACES, Trials, TrialState, given_out

__all__ = ["Finished", "add_finished", "replace_detail"]


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial that is over when the study learns of it.

    Attributes:
        number: Optuna's.
        key: Identity of the candidate.
        choice: The candidate in JSON values.
        state: How it ended.
        values: Objective values in the study's order; ``None`` unless complete.
        detail: See :class:`~greenfront.objectives.outcome.Outcome`, in JSON values.
        reason: Why it has no values, in words.
        started_at: Unix seconds.
    """

    number: int
    key: str
    choice: dict[str, Any]
    state: TrialState
    values: Sequence[float] | None
    detail: dict[str, Any] | None
    reason: str | None
    started_at: float


def add_finished(trials: Trials, run_id: str, trial: Finished) -> bool:
    """Adds it in one transaction: no run ever finds it half done. It counts in no budget of trials.

    Returns:
        Whether it was new: a study holds each candidate once.
    """
    table = trials_table
    same = sa.select(table.c.run_id).where(
        table.c.study_id == trials.study_id, table.c.key == trial.key
    )

    def added(connection: sa.Connection) -> bool:
        if connection.scalar(same) is not None:
            return False
        slot, _ = given_out(connection, trials.study_id)
        connection.execute(
            sa.insert(table).values(
                study_id=trials.study_id,
                slot=slot,
                key=trial.key,
                number=trial.number,
                run_id=run_id,
                state=trial.state,
                choice=trial.choice,
                values=None if trial.values is None else list(trial.values),
                detail=trial.detail,
                reason=trial.reason,
                started_at=trial.started_at,
                finished_at=time.time(),
                afterwards=True,
            )
        )
        return True

    def held(connection: sa.Connection) -> bool | None:
        mine = same.where(table.c.run_id == run_id, table.c.number == trial.number)
        return None if connection.scalar(mine) is None else True

    for _ in range(RACES):
        try:
            return trials.storage.write(added, done=held)
        except sa.exc.IntegrityError:
            continue  # another run took the slot in the same moment
    return False


def replace_detail(trials: Trials, number: int, detail: dict[str, Any]) -> None:
    """Replaces what is known of a finished trial beside its values."""
    table = trials_table
    mine = (table.c.study_id == trials.study_id, table.c.number == number)
    trials.storage.change(sa.update(table).where(*mine).values(detail=detail))

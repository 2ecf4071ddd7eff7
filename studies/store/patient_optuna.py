"""Optuna's storage on a database server that may go away for a while.

Its own calls are one transaction each, so a call that was cut off is made again. Where the answer
was lost and not the call, the second one must find what the first has done:

- a state that was told already is the one that was to be told;
- a trial that was made already stays behind unclaimed, and is ended with the search
  (:func:`greenfront.search.runs.recovery.drop_unclaimed`);
- attributes and parameters are written over.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from greenfront.studies.store.patience import Patience

__all__ = ["PatientStorage"]

CLOCK_STEPS = timedelta(seconds=0.01)

CALLS = (
    "create_new_study",
    "delete_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "_create_new_trial",
    "_set_trial_param",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "get_trial_id_from_study_id_trial_number",
    "get_trial",
    "_get_trials",
)
"""What Optuna's cache before this storage calls; all but what is written out below."""


def _is_no_fallback(record: logging.LogRecord) -> bool:
    return "Falling back to a slower alternative" not in record.getMessage()


def _outlasting(kind: type[PatientStorage]) -> type[PatientStorage]:
    """Lets each of the calls be made again until the server has answered."""

    def made(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(self: PatientStorage, *arguments: Any, **named: Any) -> Any:
            return self.patience.outlast(lambda _again: original(self, *arguments, **named))

        return call

    for name in CALLS:
        setattr(kind, name, made(getattr(kind, name)))
    return kind


@_outlasting
class PatientStorage(RDBStorage):
    """Optuna's storage; each call outlasts an outage.

    Args:
        url: SQLAlchemy URL, with its password.
        engine_kwargs: Of SQLAlchemy's engine.
        patience: How long.
    """

    def __init__(self, url: str, engine_kwargs: dict[str, Any], patience: Patience) -> None:
        self.patience = patience
        # It takes a lost connection for a query that is too long, and prints it.
        logging.getLogger("optuna.storages._rdb.storage").addFilter(_is_no_fallback)
        super().__init__(url, engine_kwargs=engine_kwargs)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """See ``BaseStorage``."""
        began = datetime.now()  # naive, as Optuna keeps its times

        def told(again: bool) -> bool:
            change = super(PatientStorage, self).set_trial_state_values
            try:
                done = change(trial_id, state, values)
            except UpdateFinishedTrialError:
                if again and self._is_told(trial_id, state, values, began):
                    return True
                raise
            return done or (again and self._is_told(trial_id, state, values, began))

        return self.patience.outlast(told)

    def _is_told(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None, began: datetime
    ) -> bool:
        """Whether an earlier attempt of this call has come through."""
        found = RDBStorage.get_trial(self, trial_id)
        if found.state != state:
            return False
        if state == TrialState.RUNNING:
            # Nobody else has taken it from the queue since this call began.
            return found.datetime_start is not None and found.datetime_start >= began - CLOCK_STEPS
        return values is None or list(values) == found.values

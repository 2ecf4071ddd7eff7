"""A storage that shows what another one holds, and keeps what is laid over it to itself.

Figures and notes of the dashboard are attributes of a study. Written into the database they would
take the write lock from a search that runs, thousands of times; here they stay in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Container
from copy import copy
from typing import Any, NoReturn

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from greenfront.errors import StorageError

__all__ = ["Overlay"]


def _refused(*_: Any, **__: Any) -> NoReturn:
    raise StorageError("the dashboard only shows: studies are changed by greenfront run and resume")


class Overlay(BaseStorage):
    """Reads from a storage; writes nothing to it.

    Args:
        below: What is shown.
    """

    def __init__(self, below: BaseStorage) -> None:
        self._below = below
        self._laid: dict[int, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def lay(self, study_id: int, attributes: dict[str, Any]) -> None:
        """Replaces all that is laid over a study.

        Args:
            study_id: Optuna's number.
            attributes: As its system attributes are, by key.
        """
        with self._lock:
            self._laid[study_id] = dict(attributes)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Those of the study, and over them what was laid."""
        with self._lock:
            laid = self._laid.get(study_id, {})
        return {**self._below.get_study_system_attrs(study_id), **laid}

    def get_all_studies(self) -> list[FrozenStudy]:
        """The studies in the order of their numbers, with what was laid over them."""
        studies = sorted(self._below.get_all_studies(), key=lambda study: study._study_id)
        with self._lock:
            return [self._covered(study) for study in studies]

    def _covered(self, study: FrozenStudy) -> FrozenStudy:
        shown = copy(study)
        shown.system_attrs = {**study.system_attrs, **self._laid.get(study._study_id, {})}
        return shown

    def get_study_id_from_name(self, study_name: str) -> int:
        """See :class:`~optuna.storages.BaseStorage`."""
        return self._below.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """See :class:`~optuna.storages.BaseStorage`."""
        return self._below.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """See :class:`~optuna.storages.BaseStorage`."""
        return self._below.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """See :class:`~optuna.storages.BaseStorage`."""
        return self._below.get_study_user_attrs(study_id)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """See :class:`~optuna.storages.BaseStorage`."""
        return self._below.get_trial(trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """See :class:`~optuna.storages.BaseStorage`."""
        return self._below.get_all_trials(study_id, deepcopy=deepcopy, states=states)

    def remove_session(self) -> None:
        """See :class:`~optuna.storages.BaseStorage`."""
        self._below.remove_session()

    # The rest of what a storage has to do changes something.
    create_new_study: Any = _refused
    delete_study: Any = _refused
    set_study_user_attr: Any = _refused
    set_study_system_attr: Any = _refused
    create_new_trial: Any = _refused
    set_trial_param: Any = _refused
    set_trial_state_values: Any = _refused
    set_trial_intermediate_value: Any = _refused
    set_trial_user_attr: Any = _refused
    set_trial_system_attr: Any = _refused

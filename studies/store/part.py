"""What all parts of a study have in common."""

from __future__ import annotations

from greenfront.studies.store.storage import Storage

__all__ = ["StudyPart"]


class StudyPart:
    """What the database holds of one study under one heading.

    Args:
        storage: The database.
        study_id: Optuna's number of the study.
    """

    def __init__(self, storage: Storage, study_id: int) -> None:
        self.storage = storage
        self.study_id = study_id

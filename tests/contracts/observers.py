"""What hears of a search and does nothing to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from greenfront.search.session import open_session
from greenfront.search.status import Status
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.trials import Trial

__all__ = ["Listener", "notes_of"]


@dataclass
class Listener:
    """Remembers what is said.

    Attributes:
        notes: Messages that belong to no trial.
        doing: What workers were at, at each change.
    """

    notes: list[str] = field(default_factory=list)
    doing: list[str] = field(default_factory=list)

    def changed(self, status: Status) -> None:
        self.doing += status.doing.values()

    def finished(self, row: Trial[Any, Any]) -> None:
        pass

    def note(self, message: str) -> None:
        self.notes.append(message)


def notes_of(file: StudyFile, storage: Storage) -> list[str]:
    """Searches a study to its end, and gives the messages that belong to no trial."""
    heard = Listener()
    with open_session(file, new_in=storage) as session:
        session.search(storage, heard)
    return heard.notes

"""What hears of a search and does nothing to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from greenfront.search.status import Status
from greenfront.studies.store.trials import Trial

__all__ = ["Listener"]


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

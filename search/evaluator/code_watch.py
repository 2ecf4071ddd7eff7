"""What code of the user's an evaluator is at, and whether it takes too long."""

from __future__ import annotations

import time
from dataclasses import dataclass

from greenfront.search.evaluator.channel import Message
from greenfront.search.evaluator.launch import EvaluatorSettings

__all__ = ["CodeWatch"]


@dataclass
class CodeWatch:
    """Follows one evaluator by its messages.

    Attributes:
        how: Has the limits.
        what: ``importing`` or ``calling``; ``None`` while none of it runs.
        whose: Names it.
        since: When it began, by the monotonic clock.
    """

    how: EvaluatorSettings
    what: str | None = None
    whose: str = ""
    since: float = 0.0

    def hear(self, message: Message) -> None:
        """Takes a message of kind ``code``."""
        self.what, self.whose = message["what"], message.get("whose", "")
        self.since = time.monotonic()

    @property
    def doing(self) -> str:
        """What runs, as the end of a sentence; empty where none of it does."""
        return "" if self.what is None else f" while {self.what} {self.whose}"

    @property
    def overdue(self) -> str | None:
        """What takes longer than it may, and the way out; ``None`` where nothing does."""
        importing = self.what == "importing"
        seconds = self.how.import_seconds if importing else self.how.call_seconds
        if self.what is None or seconds is None or time.monotonic() - self.since < seconds:
            return None
        key = "import_seconds" if importing else "trial_minutes"
        return (
            f"{self.what} {self.whose} took more than {seconds:g} s; raise [limits] {key} if it "
            "needs more"
        )

"""How much of a study one run does before it leaves the rest to others."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

__all__ = ["STOPPED", "Quota"]

STOPPED = "this run was told to stop"
"""Why a run ended that neither a budget nor its user ended."""


@dataclass(slots=True)
class Quota:
    """How much of a study one run does.

    Attributes:
        trials: That it begins, or steps of a race; ``None``: as many as there are.
        minutes: After which it begins no further one; ``None``: never.
        workers: That it has; ``None``: as many as the study file says.
        stop: Set by others to end it at once; what it is at is queued again.
        began: By the monotonic clock.
        ended: Why a worker of it has begun no further trial, in words; ``None`` until then.
    """

    trials: int | None = None
    minutes: float | None = None
    workers: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)
    ended: str | None = None

    def over(self, worker: int, workers: int, done: int) -> str | None:
        """Why a worker of this run begins no further trial; ``None`` while it may.

        The trials are dealt out to the workers beforehand: so all of them do exactly as many.

        Args:
            worker: Its number, from 0.
            workers: Of this run.
            done: Trials that this worker has done.
        """
        if self.trials is not None:
            share = self.trials // workers + (worker < self.trials % workers)
            if done >= share:
                self.ended = f"this run has done its {self.trials} trials"
                return self.ended
        if self.minutes is not None and time.monotonic() - self.began >= 60 * self.minutes:
            self.ended = f"the {self.minutes:g} minutes of this run are over"
            return self.ended
        return None

    def left(self, reason: str) -> bool:
        """Whether a run that ended for this reason has left a study that goes on."""
        return reason in (STOPPED, self.ended)

"""One evaluation's way back to the search that began it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from greenfront.objectives.metering.stopwatch import CARRIED
from greenfront.objectives.readings import JOULES_PER_KWH, Component, Reading
from greenfront.studies.store.ledger import LedgerWriter

__all__ = ["RunningAttempt", "Searching", "resolved"]


class Searching(Protocol):
    """What an evaluation needs of its search."""

    ledger: LedgerWriter

    @property
    def stopping(self) -> bool:
        """Whether workers are to put their trials down."""
        ...

    def say(self, worker: int, message: str) -> None:
        """Shows what a worker does."""
        ...

    def hold(self, worker: int, number: int, rest: Callable[[float], None]) -> None:
        """See :meth:`greenfront.search.problem.Attempt.hold`."""
        ...

    def hopeless(self, optimistic: Sequence[float]) -> str | None:
        """See :meth:`greenfront.search.problem.Attempt.hopeless`."""
        ...


@dataclass
class RunningAttempt:
    """See :class:`greenfront.search.problem.Attempt`.

    Args:
        search: That began it.
        worker: Who evaluates.
        number: Of the trial.
        charged_kwh: What was charged for it so far.
    """

    search: Searching
    worker: int
    number: int
    charged_kwh: float = 0.0

    @property
    def stopping(self) -> bool:
        """See :class:`greenfront.search.problem.Attempt`."""
        return self.search.stopping

    def charge(
        self,
        phase: str,
        readings: Mapping[Component, Reading],
        started_at: float,
        ended_at: float,
    ) -> None:
        """See :class:`greenfront.search.problem.Attempt`."""
        told = resolved(readings)
        if not told:
            return
        self.search.ledger.charge(
            phase,
            told,
            number=self.number,
            started_at=started_at,
            ended_at=ended_at,
            worker=self.worker,
        )
        self.charged_kwh += sum(reading.kwh or 0.0 for reading in told.values())

    def settle(self, spent_kwh: float) -> None:
        """Charges what the problem says it spent beyond what it charged as it went."""
        rest = (spent_kwh - self.charged_kwh) * JOULES_PER_KWH
        # A millionth of rounding is not an expense.
        if rest > 1e-6 * spent_kwh * JOULES_PER_KWH:
            now = time.time()
            reading = Reading(rest, rest, rest, "modelled", "stated by the problem", 0.0, 0.0)
            self.charge("evaluate", {"cpu": reading}, now, now)

    def hopeless(self, optimistic: Sequence[float]) -> str | None:
        """See :class:`greenfront.search.problem.Attempt`."""
        return self.search.hopeless(optimistic)

    def progress(self, message: str) -> None:
        """See :class:`greenfront.search.problem.Attempt`."""
        self.search.say(self.worker, f"trial {self.number}: {message}")

    def hold(self, rest: Callable[[float], None]) -> None:
        """See :class:`greenfront.search.problem.Attempt`."""
        self.search.hold(self.worker, self.number, rest)


def resolved(readings: Mapping[Component, Reading]) -> dict[Component, Reading]:
    """Drops the laps whose energy stands in the next one."""
    return {c: reading for c, reading in readings.items() if CARRIED not in reading.flags}

"""The contexts of trials in a search: they charge energy, show progress and pause evaluations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from greenfront.errors import Interrupted
from greenfront.objectives.context import TrialContext
from greenfront.objectives.readings import JOULES_PER_KWH, Component, Reading
from greenfront.search.archive import Archive
from greenfront.search.electricity.scheduler import CarbonScheduler
from greenfront.search.stopping.budget_watch import BudgetWatch
from greenfront.search.stopping.hopeless import Paces
from greenfront.studies.store.ledger_writer import LedgerWriter

__all__ = ["ChargedTrial", "RunningTrial", "WatchedTrial"]


@dataclass
class ChargedTrial(TrialContext):
    """Charges a trial's energy to the ledger, and does nothing else.

    Attributes:
        ledger: Of the run.
        number: Of the trial.
        worker: Number of the worker; ``None`` after the search.
        charged_kwh: Energy that was charged so far.
    """

    ledger: LedgerWriter
    number: int
    worker: int | None = None
    charged_kwh: float = 0.0

    def charge(
        self, phase: str, readings: Mapping[Component, Reading], started_at: float, ended_at: float
    ) -> None:
        """See :class:`TrialContext`."""
        self.ledger.charge(
            phase,
            readings,
            number=self.number,
            started_at=started_at,
            ended_at=ended_at,
            worker=self.worker,
        )
        self.charged_kwh += sum(reading.kwh or 0.0 for reading in readings.values())

    def settle(self, spent_kwh: float) -> None:
        """Charges what the problem has spent, but not charged yet."""
        rest = (spent_kwh - self.charged_kwh) * JOULES_PER_KWH
        # Less than a millionth is rounding.
        if rest > 1e-6 * spent_kwh * JOULES_PER_KWH:
            now = time.time()
            reading = Reading(rest, rest, rest, "modelled", "stated by the problem", 0.0, 0.0)
            self.charge("evaluate", {"cpu": reading}, now, now)


@dataclass(kw_only=True)
class WatchedTrial(ChargedTrial):
    """Charges a trial's energy, and ends where a budget is spent.

    Attributes:
        watch: Knows the budgets of the search; ``None``: there are none.
        charged_at: When something was last charged, by the monotonic clock.
    """

    watch: BudgetWatch | None = None
    charged_at: float = field(default_factory=time.monotonic)

    def charge(
        self, phase: str, readings: Mapping[Component, Reading], started_at: float, ended_at: float
    ) -> None:
        """See :class:`TrialContext`."""
        super().charge(phase, readings, started_at, ended_at)
        self.charged_at = time.monotonic()

    @property
    def budgeted(self) -> bool:  # type: ignore[override]
        """See :class:`TrialContext`."""
        return self.watch is not None and self.watch.awaits_charge(self.charged_at)

    def progress(self, message: str) -> None:
        """See :class:`TrialContext`."""
        del message
        reason = None if self.watch is None else self.watch.reached_lately()
        if reason is not None:
            raise Interrupted(reason)


@dataclass(kw_only=True)
class RunningTrial(WatchedTrial):
    """The context of a trial that a worker of the engine evaluates.

    Attributes:
        worker: Number of the worker.
        archive: The study's finished trials.
        stop: Set when the workers shall stop.
        say: Shows a line for the worker.
        scheduler: Pauses it until the electricity is clean; ``None``: never.
        fidelity: See :class:`TrialContext`.
        checkpoint: See :class:`TrialContext`.
        learnt: Paces of the study's finished trainings; ``None``: none is known.
    """

    worker: int
    archive: Archive
    stop: threading.Event
    say: Callable[[str], None]
    scheduler: CarbonScheduler | None = None
    fidelity: int | None = None
    checkpoint: object | None = None
    learnt: Paces | None = None

    @property
    def stopping(self) -> bool:
        """See :class:`TrialContext`."""
        return self.stop.is_set()

    def progress(self, message: str) -> None:
        """See :class:`TrialContext`."""
        super().progress(message)
        self._show(message)

    def _show(self, message: str) -> None:
        self.say(f"trial {self.number}: {message}")

    def hold(self, rest: Callable[[float], None]) -> None:
        """See :class:`TrialContext`."""
        if self.scheduler is not None:
            self.scheduler.hold(self.worker, self.number, rest, self._show)

    def paces(self) -> Sequence[float]:
        """See :class:`TrialContext`."""
        return () if self.learnt is None else self.learnt.all()

    def dominated(self, optimistic: Sequence[float]) -> str | None:
        """See :class:`TrialContext`."""
        return self.archive.dominated(optimistic)

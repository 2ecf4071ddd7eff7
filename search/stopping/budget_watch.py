"""Watches what a study may cost, before its trials and between their epochs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from greenfront.studies.config.budget import Budget
from greenfront.studies.store.ledger import Ledger, Spent

__all__ = ["BudgetWatch"]

LOOKING_SHARE = 0.04
"""Share of the time, at most, that is spent on asking the database between short epochs."""
CHARGED_SECONDS = 0.25
"""So often, at least, what a training spends is charged before it is over; shorter times say
nothing of how fast all spend."""
HASTE = 2.0
"""Times as fast as ever that all runs together are trusted to spend until it is asked again."""


@dataclass(frozen=True, slots=True)
class _Pace:
    """How fast a study spends, in a second."""

    kwh: float
    co2_kg: float


class BudgetWatch:
    """Says when the energy, the carbon or the time of a study is spent; thread-safe.

    All runs and workers of a study charge one ledger, so each of them knows what all have spent.
    Each ends the trial it is at after its present epoch: the study overshoots by that at most.
    Asking at each epoch would cost more than a short one, so that is done only where all together,
    at twice their fastest pace so far, may have spent what was left.

    Args:
        budget: Of the whole study.
        ledger: Of the study.
        minutes: Worked on the study so far, over all its runs.
    """

    def __init__(self, budget: Budget, ledger: Ledger, minutes: Callable[[], float]) -> None:
        self._budget = budget
        self._ledger = ledger
        self._minutes = minutes
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._ask_after = 0.0
        self._known = Spent(0.0, 0.0, 0.0, None, 0.0, 0.0, 0, 0)
        self._asked_at = 0.0
        self._since: tuple[float, Spent] | None = None  # when, and what was spent by then
        self._fastest: _Pace | None = None  # so far; at first nobody knows

    @property
    def meters(self) -> bool:
        """Whether it has to know energy."""
        return self._budget.kwh is not None or self._budget.co2_kg is not None

    def reached(self) -> str | None:
        """Which budget is spent, in words; ``None`` while none is."""
        with self._lock:
            return self._asked()

    def awaits_charge(self, charged_at: float) -> bool:
        """Whether a training has to charge what it has spent before it tells of an epoch.

        Args:
            charged_at: When it last did, by the monotonic clock.
        """
        if not self.meters:
            return False
        with self._lock:
            return time.monotonic() - charged_at >= CHARGED_SECONDS or self._is_near()

    def reached_lately(self) -> str | None:
        """The same, without asking more often than is worth it while the budget is far."""
        with self._lock:
            if self._reason is None and time.monotonic() < self._ask_after and not self._is_near():
                return None
            return self._asked()

    def _is_near(self) -> bool:
        """Whether all may have spent what was left when it asked, charged or not."""
        if not self.meters:
            return False
        if self._fastest is None:
            return True
        seconds = HASTE * (time.monotonic() - self._asked_at + CHARGED_SECONDS)
        kwh = self._known.kwh + seconds * self._fastest.kwh
        co2_kg = (self._known.co2_kg or 0.0) + seconds * self._fastest.co2_kg
        budget = self._budget
        return (budget.kwh is not None and kwh >= budget.kwh) or (
            budget.co2_kg is not None and co2_kg >= budget.co2_kg
        )

    def _asked(self) -> str | None:
        if self._reason is not None or not (self.meters or self._budget.minutes is not None):
            return self._reason
        began = time.monotonic()
        self._known, self._asked_at = self._ledger.total(), began
        self._keep_pace()
        minutes = 0.0 if self._budget.minutes is None else self._minutes()
        self._reason = self._budget.reached(self._known, minutes)
        now = time.monotonic()
        self._ask_after = now + max((now - began) / LOOKING_SHARE, CHARGED_SECONDS)
        return self._reason

    def _keep_pace(self) -> None:
        since, before = self._since or (self._asked_at, self._known)
        seconds = self._asked_at - since
        if seconds >= CHARGED_SECONDS and self._known.kwh > before.kwh:
            kwh = (self._known.kwh - before.kwh) / seconds
            co2_kg = ((self._known.co2_kg or 0.0) - (before.co2_kg or 0.0)) / seconds
            past = self._fastest or _Pace(0.0, 0.0)
            self._fastest = _Pace(max(past.kwh, kwh), max(past.co2_kg, co2_kg))
        if self._since is None or seconds >= CHARGED_SECONDS:
            self._since = (self._asked_at, self._known)

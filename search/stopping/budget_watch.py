"""Watches what a study may cost, before its trials and between their epochs."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from greenfront.studies.config.budget import Budget
from greenfront.studies.store.ledger import Ledger, Spent

__all__ = ["BudgetWatch"]

LOOKING_SHARE = 0.04
"""Share of the time, at most, that is spent on asking the database between short epochs."""
CHARGED_SECONDS = 0.25
"""So often, at least, what a training spends is charged before it is over."""
SHORT_SECONDS = 0.01
"""Shorter times than this say nothing of how fast energy is spent."""
HASTE = 2.0
"""Times as fast as lately that all runs together are trusted to spend until it is asked again."""


class BudgetWatch:
    """Says when the energy, the carbon or the time of a study is spent; thread-safe.

    All runs and workers of a study charge one ledger, so each of them knows what all have spent.
    Each ends the trial it is at after its present epoch: the study overshoots by that at most.

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
        self._charged_kwh = 0.0
        self._charged_at: float | None = None
        self._kwh_a_second = 0.0  # the fastest so far
        self._all_to_own = math.inf  # at first nobody knows how much others spend

    @property
    def meters(self) -> bool:
        """Whether it has to know energy."""
        return self._budget.kwh is not None or self._budget.co2_kg is not None

    def reached(self) -> str | None:
        """Which budget is spent, in words; ``None`` while none is."""
        with self._lock:
            return self._asked()

    def charged(self, kwh: float) -> None:
        """Adds what this process has charged: then it knows what is left without asking."""
        with self._lock:
            now = time.monotonic()
            if self._charged_at is not None:
                seconds = max(now - self._charged_at, SHORT_SECONDS)
                self._kwh_a_second = max(self._kwh_a_second, kwh / seconds)
            self._charged_kwh, self._charged_at = self._charged_kwh + kwh, now

    def awaits_charge(self) -> bool:
        """Whether a training has to charge what it has spent before it tells of an epoch."""
        if not self.meters:
            return False
        with self._lock:
            if self._charged_at is None or not self._kwh_a_second:
                return True
            seconds = time.monotonic() - self._charged_at
            return seconds >= CHARGED_SECONDS or self._is_near(seconds * self._kwh_a_second)

    def reached_lately(self) -> str | None:
        """The same, without asking more often than is worth it while the budget is far."""
        with self._lock:
            if self._reason is None and time.monotonic() < self._ask_after and not self._is_near():
                return None
            return self._asked()

    def _is_near(self, owed_kwh: float = 0.0) -> bool:
        """Whether what all have spent since it asked may be all that was left.

        Args:
            owed_kwh: What this process has spent and not charged.
        """
        own_kwh = self._charged_kwh + owed_kwh
        if not own_kwh:
            return False
        kwh, co2_kg = self._known.kwh, self._known.co2_kg
        grown = kwh + HASTE * self._all_to_own * own_kwh
        if self._budget.kwh is not None and grown >= self._budget.kwh:
            return True
        if self._budget.co2_kg is None:
            return False
        return not kwh or (co2_kg or 0.0) * grown / kwh >= self._budget.co2_kg

    def _asked(self) -> str | None:
        if self._reason is not None or not (self.meters or self._budget.minutes is not None):
            return self._reason
        began = time.monotonic()
        known = self._ledger.total()
        if self._charged_kwh and self._known.kwh:
            self._all_to_own = max(1.0, (known.kwh - self._known.kwh) / self._charged_kwh)
        self._known, self._charged_kwh = known, 0.0
        minutes = 0.0 if self._budget.minutes is None else self._minutes()
        self._reason = self._budget.reached(self._known, minutes)
        now = time.monotonic()
        self._ask_after = now + (now - began) / LOOKING_SHARE
        return self._reason

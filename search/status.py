"""The progress of a search, for those who watch it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from greenfront.studies.config.budget import Budget
from greenfront.studies.store.trials import FINISHED, Trial

__all__ = ["Observer", "Status"]


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a search.

    Attributes:
        counts: Trials by state.
        front_size: Trials on the front.
        hypervolume: Of the front; ``None`` while it has no reference point.
        kwh_spent: By the whole study.
        co2_kg_spent: By the whole study; ``None`` without a carbon model.
        budget: Of the whole study.
        seconds_left: Estimate until the first budget is reached; ``None`` while unknown.
        doing: What each worker of this process is doing, by its number.
        effort: Of a race, in trials: what waits at a rung counts in part; ``None``: there is none.
    """

    counts: Mapping[str, int]
    front_size: int
    hypervolume: float | None
    kwh_spent: float
    co2_kg_spent: float | None
    budget: Budget
    seconds_left: float | None
    doing: Mapping[int, str]
    effort: float | None = None

    @property
    def done(self) -> float:
        """How much of a budget of trials is used up."""
        return self.finished_trials if self.effort is None else self.effort

    @property
    def finished_trials(self) -> int:
        """Trials that are over, whether or not with a result."""
        return sum(self.counts.get(state, 0) for state in FINISHED)


class Observer(Protocol):
    """Callback interface of a search; called from its threads: it must be quick and not raise."""

    def changed(self, status: Status) -> None:
        """Something has changed; also called every few seconds when nothing has."""
        ...

    def finished(self, row: Trial[Any, Any]) -> None:
        """A worker of this process has finished a trial."""
        ...

    def note(self, message: str) -> None:
        """A message that belongs to no trial."""
        ...

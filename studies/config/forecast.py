"""What a search was expected to cost before its first trial."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Expected", "Forecast"]


@dataclass(frozen=True, slots=True)
class Expected:
    """A quantity that is not known yet.

    Attributes:
        likely: Best guess.
        low: Lower end of the interval.
        high: Upper end of it.
    """

    likely: float
    low: float
    high: float

    def times(self, factor: float) -> Expected:
        """The same in another unit."""
        return Expected(factor * self.likely, factor * self.low, factor * self.high)

    def shared(self, workers: int) -> Expected:
        """Of time, if so many workers share the work: at worst they are no help to each other."""
        return Expected(self.likely / workers, self.low / workers, self.high)

    def holds(self, came: float) -> bool:
        """Whether what came lies within the interval."""
        return self.low <= came <= self.high


@dataclass(frozen=True, slots=True)
class Forecast:
    """The cost of a whole search, modelled.

    Attributes:
        trials: In all.
        kwh: Of the search; ``None`` where the energy of what it is told from is unavailable.
        minutes: During which it is at work.
        basis: What it is told from, in words.
    """

    trials: int
    kwh: Expected | None
    minutes: Expected
    basis: str

"""The time at which intensities are read: the present, or a past that is replayed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Clock"]


@dataclass(frozen=True, slots=True)
class Clock:
    """Maps the present to an instant of a trace; all times are seconds since 1970.

    Attributes:
        origin: Instant of the wall's clock at which a replay begins.
        start: Instant on the trace that is played then; ``None`` where nothing is replayed.
        speed: Seconds on the trace for each second on the wall.
    """

    origin: float = 0.0
    start: float | None = None
    speed: float = 1.0

    @property
    def replayed(self) -> bool:
        """Whether a past is replayed."""
        return self.start is not None

    def at(self, instant: float) -> float:
        """The grid's time at an instant of the wall's clock."""
        return instant if self.start is None else self.start + (instant - self.origin) * self.speed

    def wall(self, instant: float) -> float:
        """The inverse of :meth:`at`."""
        return instant if self.start is None else self.origin + (instant - self.start) / self.speed

    @property
    def label(self) -> str:
        """A note for times that are shown; empty where nothing is replayed."""
        return " (replayed clock)" if self.replayed else ""

"""Several measurements of one graph, taken together; pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from greenfront.objectives.outcome import GraphReading
from greenfront.objectives.readings import Reading
from greenfront.objectives.student_t import central_quantile

__all__ = ["PooledCost", "Scatter", "log_ratios", "median_reading", "pooled"]

MEDIAN_INEFFICIENCY = math.sqrt(math.pi / 2)
"""Standard error of a median over that of a mean, of many normal values; of one or two it is 1."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Scatter:
    """By how much measurements of one graph, taken at different moments, differ.

    Attributes:
        deviation: Standard deviation of their logarithms.
        freedom: Degrees of freedom by which it is known; with 0 it is not.
    """

    deviation: float = 0.0
    freedom: int = 0

    @classmethod
    def of(cls, graphs: Iterable[Sequence[GraphReading]]) -> Scatter:
        """Pooled over graphs: a few measurements of one say little of their spread."""
        squares, freedom = 0.0, 0
        for readings in graphs:
            ratios = log_ratios([reading.inference for reading in readings])
            squares += sum(ratio * ratio for ratio in ratios)
            freedom += max(0, len(ratios) - 1)
        return cls(math.sqrt(squares / freedom), freedom) if freedom else cls()

    def half_width(self, count: int) -> float | None:
        """Half of the 95 % interval of the median of so many measurements, as a logarithm.

        Student's t times the standard error; ``None`` where the deviation is unknown.
        """
        if not self.freedom:
            return None
        quantile = central_quantile(CONFIDENCE, self.freedom)
        factor = MEDIAN_INEFFICIENCY if count > 2 else 1.0
        return quantile * factor * self.deviation / math.sqrt(count)


@dataclass(frozen=True, slots=True)
class PooledCost:
    """What a prediction of a graph costs, as far as it was measured.

    Attributes:
        inference: Median of the measurements.
        latency_seconds: The same of wall time.
        spread: Half of the 95 % confidence interval of the energy, as a share of it; ``None`` if
            unknown.
    """

    inference: Reading
    latency_seconds: float
    spread: float | None


def pooled(readings: Sequence[GraphReading], scatter: Scatter | None = None) -> PooledCost:
    """The median of the measurements, and how well it is known.

    The blocks of one measurement are taken within a second: they do not know of the machine's
    other moments. So the interval is the wider of two: that over the blocks, and that which the
    scatter between measurements makes.

    Args:
        readings: At least one.
        scatter: Of measurements on this machine; by default that of these alone.
    """
    scatter = Scatter.of([readings]) if scatter is None else scatter
    inference = median_reading([reading.inference for reading in readings])
    known = [reading.spread for reading in readings if reading.spread is not None]
    widths = [scatter.half_width(len(readings))]
    if len(known) == len(readings):
        widths.append(math.sqrt(sum(spread**2 for spread in known)) / len(known))
    told = [width for width in widths if width is not None]
    spread = max(told) if told and inference.joules is not None else None
    latency = statistics.median(reading.latency_seconds for reading in readings)
    return PooledCost(inference, latency, spread)


def log_ratios(readings: Sequence[Reading]) -> list[float]:
    """Logarithms of energies over their median; of those that have an energy above 0."""
    joules = [reading.joules for reading in readings if reading.joules]
    if not joules:
        return []
    middle = statistics.median(joules)
    return [math.log(value / middle) for value in joules]


def median_reading(readings: Sequence[Reading]) -> Reading:
    """Number by number; unavailable if any is: a median of what is left would be another's."""
    if len(readings) == 1:
        return readings[0]  # as most trials of a long study are measured
    parts: dict[str, Any] = {
        name: statistics.median(getattr(reading, name) for reading in readings)
        for name in ("cpu_seconds", "wall_seconds")
    }
    worst = next((r for r in readings if r.joules is None), readings[0])
    for name in ("joules", "low_joules", "high_joules"):
        values = [getattr(reading, name) for reading in readings]
        known = worst.joules is not None
        parts[name] = statistics.median(values) if known else None
    flags = tuple(sorted({flag for reading in readings for flag in reading.flags}))
    return replace(worst, flags=flags, **parts)

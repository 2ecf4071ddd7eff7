"""Carbon intensity over time: steps of constant intensity, with gaps that stay visible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR

__all__ = [
    "IntensityKind",
    "IntensityRow",
    "IntensityStep",
    "Trace",
    "as_instant",
    "instant_seconds",
]

IntensityKind = Literal["average", "marginal"]

IntensityRow = tuple[float, float | None, bool]
"""Seconds since 1970, g/kWh (``None``: unknown), and whether it is estimated."""

REGULAR_ROWS = 3
"""So many equal distances in a row are a resolution, not rows that are missing."""

FILLED_GAP_HOURS = 6.0
"""Longest gap that is interpolated; a longer one hides too much of a day's shape."""


def instant_seconds(name: str, instant: datetime) -> float:
    """Seconds since 1970 of an instant with a time zone; ``name`` is for messages.

    Raises:
        UsageError: It has no time zone.
    """
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise UsageError(
            f"{name}: must carry a time zone, got {instant.isoformat()}; add one, such as "
            "datetime.now(UTC)"
        )
    return instant.timestamp()


def as_instant(seconds: float) -> datetime:
    """The inverse of :func:`instant_seconds`, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True)
class IntensityStep:
    """A stretch of time with one intensity.

    Attributes:
        start_seconds: First instant, in seconds since 1970.
        end_seconds: The instant after the last.
        g_per_kwh: Grams of CO₂ equivalent per kWh.
        estimated: Whether the source forecast or estimated it.
    """

    start_seconds: float
    end_seconds: float
    g_per_kwh: float
    estimated: bool = False


@dataclass(frozen=True, eq=False)
class Trace:
    """Carbon intensity of a grid as steps in time.

    What no step covers is a gap. Gaps of up to :data:`FILLED_GAP_HOURS` are interpolated linearly,
    and :meth:`filled_share` is the share of a stretch that was. A stretch that touches a longer
    gap, or reaches beyond the trace, has no mean: :meth:`covers` is false.

    Attributes:
        steps: In order of time, without overlap; at least one.
        region: The grid's name.
        source: Publisher or file.
        kind: ``"average"`` over all generation, or ``"marginal"``: of one more kWh of demand. They
            are never mixed.
        basis: What is counted, such as ``"location-based, life-cycle"``.

    Raises:
        DataError: No steps, an overlap, an empty step, or an impossible intensity.
        UsageError: Of methods: an instant has no time zone, or ``end`` is not after ``start``.
    """

    steps: tuple[IntensityStep, ...]
    region: str
    source: str
    kind: IntensityKind = "average"
    basis: str = "location-based, life-cycle"
    _edges: NDArray[np.float64] = field(init=False, repr=False)
    _values: NDArray[np.float64] = field(init=False, repr=False)
    _sums: dict[str, NDArray[np.float64]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = np.array([step.start_seconds for step in self.steps], dtype=float)
        ends = np.array([step.end_seconds for step in self.steps], dtype=float)
        values = np.array([step.g_per_kwh for step in self.steps], dtype=float)
        self._check(starts, ends, values)
        edges, pieces, filled = _filled(starts, ends, values)
        lengths = np.diff(edges)
        holes = np.isnan(pieces)
        object.__setattr__(self, "_edges", edges)
        object.__setattr__(self, "_values", pieces)
        sums = {
            "grams": lengths * np.where(holes, 0.0, pieces),
            "filled": lengths * filled,
            "holes": lengths * holes,
        }
        sums = {name: np.concatenate([[0.0], np.cumsum(part)]) for name, part in sums.items()}
        object.__setattr__(self, "_sums", sums)

    def _check(
        self, starts: NDArray[np.float64], ends: NDArray[np.float64], values: NDArray[np.float64]
    ) -> None:
        if not self.steps:
            raise DataError(f"{self.source}: a trace must have at least one value, got none")
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if bad.size:
            raise DataError(
                f"{self.source}: an intensity must be a finite number of g/kWh of 0 or more, got "
                f"{values[bad[0]]} at {as_instant(starts[bad[0]])}; leave the row out, it is then "
                "a gap"
            )
        if not (np.all(starts < ends) and np.all(ends[:-1] <= starts[1:])):
            raise DataError(
                f"{self.source}: steps must follow each other in time without overlap; sort them "
                "and keep one for each instant"
            )

    @property
    def start(self) -> datetime:
        """First instant, in UTC."""
        return as_instant(float(self._edges[0]))

    @property
    def end(self) -> datetime:
        """The instant after the last, in UTC."""
        return as_instant(float(self._edges[-1]))

    def mean(self) -> float:
        """Mean over all that the steps cover, weighted by time, without gaps; g/kWh."""
        lengths = [step.end_seconds - step.start_seconds for step in self.steps]
        grams = sum(length * s.g_per_kwh for length, s in zip(lengths, self.steps, strict=True))
        return grams / sum(lengths)

    def mean_between(self, start: datetime, end: datetime) -> float:
        """Mean over ``[start, end)``, weighted by time; g/kWh.

        Raises:
            DataError: The trace does not cover the stretch.
        """
        first, last = self._stretch(start, end)
        mean = float(self.means(np.array([first]), last - first)[0])
        if np.isnan(mean):
            raise DataError(
                f"{self.source}: must cover {start.isoformat()} to {end.isoformat()}, but reaches "
                f"from {self.start.isoformat()} to {self.end.isoformat()} and may lack no more "
                f"than {FILLED_GAP_HOURS:g} h in a row; choose a stretch inside it"
            )
        return mean

    def covers(self, start: datetime, end: datetime) -> bool:
        """Whether ``[start, end)`` lies within the trace and touches no long gap."""
        first, last = self._stretch(start, end)
        return not bool(np.isnan(self.means(np.array([first]), last - first)[0]))

    def filled_share(self, start: datetime, end: datetime) -> float:
        """Share of ``[start, end)`` that was interpolated in short gaps, 0 to 1."""
        first, last = self._stretch(start, end)
        at = np.array([first, last])
        filled = np.interp(at, self._edges, self._sums["filled"])
        return float(filled[1] - filled[0]) / (last - first)

    def means(self, starts: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
        """Means over ``[start, start + seconds)`` for many starts at once.

        Args:
            starts: Seconds since 1970, any shape.
            seconds: Length of each stretch, over 0.

        Returns:
            g/kWh in the shape of ``starts``; NaN where the trace does not cover the stretch.
        """
        ends = starts + seconds
        grams, holes = (
            np.interp(ends, self._edges, self._sums[name])
            - np.interp(starts, self._edges, self._sums[name])
            for name in ("grams", "holes")
        )
        within = (starts >= self._edges[0]) & (ends <= self._edges[-1])
        usable = within & (holes <= 1e-6)
        return np.where(usable, grams / seconds, np.nan)

    def pieces(
        self, first: float, last: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Starts, ends and g/kWh of the steps between two instants; only short gaps are filled."""
        low = max(int(np.searchsorted(self._edges, first, side="right")) - 1, 0)
        high = max(int(np.searchsorted(self._edges, last, side="left")), low)
        starts = np.maximum(self._edges[:-1][low:high], first)
        ends = np.minimum(self._edges[1:][low:high], last)
        values = self._values[low:high]
        keep = (starts < ends) & ~np.isnan(values)
        return starts[keep], ends[keep], values[keep]

    def _stretch(self, start: datetime, end: datetime) -> tuple[float, float]:
        first, last = instant_seconds("start", start), instant_seconds("end", end)
        if not first < last:
            raise UsageError(
                f"end: must be after start, got {start.isoformat()} to {end.isoformat()}"
            )
        return first, last

    @classmethod
    def of_rows(
        cls,
        rows: Iterable[IntensityRow],
        *,
        region: str,
        source: str,
        kind: IntensityKind = "average",
        basis: str = "location-based, life-cycle",
        step_seconds: float | None = None,
    ) -> Trace:
        """A trace from instants alone: each value holds until the next instant.

        A row holds for no longer than the resolution that its rows are given in: the commonest
        distance between instants, or one that repeats :data:`REGULAR_ROWS` times in a row where
        the resolution changes within the trace. What lies beyond is a gap. Rows are in order of
        time, ``step_seconds`` is the resolution where it is known, and the other arguments are
        those of :class:`Trace`.

        Raises:
            DataError: Fewer than two rows and no stated step, or what :class:`Trace` refuses.
        """
        listed = list(rows)
        starts = np.array([row[0] for row in listed], dtype=float)
        if step_seconds is None:
            if len(listed) < 2:
                raise DataError(
                    f"{source}: must have at least two rows, so that their distance tells how "
                    f"long a value holds, got {len(listed)}; add rows"
                )
            ends = starts + _spans(np.diff(starts))
        else:
            ends = starts + step_seconds
        ends[:-1] = np.minimum(ends[:-1], starts[1:])
        steps = tuple(
            IntensityStep(start, float(end), value, estimated)
            for (start, value, estimated), end in zip(listed, ends, strict=True)
            if value is not None
        )
        return cls(steps, region, source, kind, basis)


def _spans(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """How long each row holds at most: as long as the last resolution before it.

    One more than there are distances between rows.
    """
    found, counts = np.unique(distances, return_counts=True)
    commonest = float(found[np.argmax(counts)])
    runs = np.split(distances, np.flatnonzero(np.diff(distances)) + 1)
    regular = [float(run[0]) for run in runs if len(run) >= REGULAR_ROWS] or [commonest]
    spans = []
    resolution = regular[0]
    for run in runs:
        if len(run) >= REGULAR_ROWS:
            resolution = float(run[0])
        spans.append(np.full(len(run), resolution))
    # The last row has no next one. A month may be longer than the last; an hour is no quarter.
    last = distances[-1] if distances[-1] < resolution / 2 else resolution
    return np.concatenate([*spans, [last]])


def _filled(
    starts: NDArray[np.float64], ends: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Edges, intensities (NaN in a long gap) and whether each was interpolated, without holes."""
    step = float(np.median(ends - starts))
    edges: list[float] = [float(starts[0])]
    pieces: list[float] = []
    filled: list[bool] = []
    for index in range(len(starts)):
        if starts[index] > edges[-1]:
            gap = float(starts[index]) - edges[-1]
            parts = max(round(gap / step), 1)
            short = gap <= FILLED_GAP_HOURS * SECONDS_PER_HOUR
            count = parts if short else 1
            line = np.linspace(values[index - 1], values[index], parts + 2)[1:-1]
            pieces.extend(line.tolist() if short else [np.nan])
            filled.extend([short] * count)
            edges.extend(np.linspace(edges[-1], starts[index], count + 1)[1:].tolist())
        edges.append(float(ends[index]))
        pieces.append(float(values[index]))
        filled.append(False)
    return (
        np.array(edges),
        np.array(pieces),
        cast("NDArray[np.bool_]", np.array(filled, dtype=bool)),
    )

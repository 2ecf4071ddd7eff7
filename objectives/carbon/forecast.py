"""A forecast of the next hours from the past of the trace alone.

Two parts, as in classical decomposition (Hyndman & Athanasopoulos, *Forecasting: Principles and
Practice*, 3rd ed., chapters 3 and 10):

1. A *profile*: for each hour of the day the mean of the past four weeks, in which a day weighs
   half of the day two weeks after it (exponential smoothing of a seasonal pattern).
2. The *deviation* from it, by one ridge regression for each hour ahead on three numbers: the last
   deviation, that of the last day on average, and that of the same hour of the last day. The
   coefficients are pulled towards "the last deviation fades by 5 % an hour", which is also what is
   left where the past is short (ridge: Hoerl & Kennard, *Technometrics* 12, 1970).

Nothing at or after the instant of the forecast is used, and an hour is known only once it is over.
The regressions are fitted at midnight (UTC), so that forecasts within a day share them.
Gaps stay gaps: an unknown hour has no weight in the profile, and no deviation.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.traces import IntensityStep, Trace, instant_seconds
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR

__all__ = ["LONGEST_HOURS", "Forecaster", "forecast"]

LONGEST_HOURS = 96
"""Farther ahead the weather decides, of which the past of a grid says nothing."""

_DAY = 24
_PROFILE_DAYS = 28
_HALF_LIFE_DAYS = 14.0
_FIT_DAYS = 56
_FADE_PER_HOUR = 0.95
_RIDGE = 0.3
_FEWEST_HOURS = 48

_Floats = NDArray[np.float64]


class Forecaster:
    """Forecasts from one trace, which may reach beyond their instants; keeps its regressions."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._first_hour, self._values = _hourly(trace)
        self._coefficients = lru_cache(maxsize=512)(self._fit)

    def hours(self, origin_hour: int) -> _Floats:
        """Forecasts ``LONGEST_HOURS`` hours in g/kWh; the first is counted in hours since 1970.

        Raises:
            DataError: Fewer than two days are known in the four weeks before.
        """
        profile, recent = self._profiles(np.array([origin_hour]))
        known = int(np.isfinite(self._window(origin_hour, _PROFILE_DAYS * _DAY)).sum())
        if known < _FEWEST_HOURS:
            raise DataError(
                f"{self._trace.source}: a forecast needs at least {_FEWEST_HOURS} known hours in "
                f"the {_PROFILE_DAYS} days before, got {known}; give a longer trace, or a trace "
                "that reaches into the future"
            )
        ahead = np.arange(LONGEST_HOURS) % _DAY
        weights = self._coefficients(origin_hour // _DAY * _DAY)
        features = _features(recent)[0]
        change = weights[:, 0] * features[0] + weights[:, 1] * features[1]
        change += weights[:, 2] * np.nan_to_num(recent[0])[ahead]
        values: _Floats = np.maximum(profile[0][ahead] + change, 0.0)
        return values

    def _window(self, origin_hour: int, hours: int) -> _Floats:
        """The hours before an origin; NaN where nothing is known."""
        stop = origin_hour - self._first_hour
        wanted = np.arange(stop - hours, stop)
        inside = (wanted >= 0) & (wanted < len(self._values))
        return np.where(inside, self._values[np.clip(wanted, 0, len(self._values) - 1)], np.nan)

    def _profiles(self, origins: NDArray[np.int64]) -> tuple[_Floats, _Floats]:
        """For each origin the profile of the day that follows, and deviations of the day before."""
        first, last = int(origins[0]), int(origins[-1])
        span = self._window(last, last - first + _PROFILE_DAYS * _DAY)
        windows = np.lib.stride_tricks.sliding_window_view(span, _PROFILE_DAYS * _DAY)
        days = windows[origins - first].reshape(len(origins), _PROFILE_DAYS, _DAY)
        age = np.arange(_PROFILE_DAYS)[::-1]
        weights = 0.5 ** (age / _HALF_LIFE_DAYS)
        total = np.einsum("d,ndh->nh", weights, np.isfinite(days).astype(float))
        sums = np.einsum("d,ndh->nh", weights, np.nan_to_num(days))
        with np.errstate(invalid="ignore"):
            profile = np.where(total > 0, sums / np.where(total > 0, total, 1.0), np.nan)
        # An hour of the day that was never seen takes the mean of the others.
        seen = np.isfinite(profile)
        mean = np.where(seen, profile, 0).sum(1) / np.maximum(seen.sum(1), 1)
        profile = np.where(seen, profile, mean[:, None])
        return profile, days[:, -1] - profile

    def _fit(self, midnight: int) -> _Floats:
        """Weights of the three deviations, ``[LONGEST_HOURS, 3]``, from the eight weeks before.

        The prior alone where nothing is known.
        """
        prior = np.zeros((LONGEST_HOURS, 3))
        prior[:, 0] = _FADE_PER_HOUR ** np.arange(1, LONGEST_HOURS + 1)
        first = max(midnight - _FIT_DAYS * _DAY, self._first_hour + _PROFILE_DAYS * _DAY)
        if midnight - first < _DAY:
            return prior
        origins = np.arange(first, midnight)
        profile, recent = self._profiles(origins)
        both = _features(recent)
        same = np.nan_to_num(recent)
        truth = self._window(midnight, len(origins))
        weights = prior.copy()
        for ahead in range(min(LONGEST_HOURS, len(origins) - _DAY)):
            count = len(origins) - ahead
            hour = ahead % _DAY
            columns = np.column_stack([both[:count], same[:count, hour]])
            target = truth[ahead:] - profile[:count, hour]
            usable = np.isfinite(target)
            weights[ahead] = _ridge(columns[usable], target[usable], prior[ahead])
        return weights


def _features(recent: _Floats) -> _Floats:
    """The last known deviation of the day before, and its mean; 0 where nothing is known."""
    known = np.isfinite(recent)
    last = recent.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    filled = np.where(known, recent, 0.0)
    mean = filled.sum(1) / np.maximum(known.sum(1), 1)
    return np.column_stack([filled[np.arange(len(recent)), last], mean])


def _ridge(columns: _Floats, target: _Floats, prior: _Floats) -> _Floats:
    # The penalty is in units of the first column's spread, so that g/kWh or kg/kWh are the same.
    penalty = _RIDGE * float(np.square(columns[:, 0]).sum())
    if penalty <= 0:
        return prior
    square = columns.T @ columns + penalty * np.eye(3, dtype=np.float64)
    solved = np.linalg.solve(square, columns.T @ target + penalty * prior)
    return np.asarray(solved, dtype=np.float64)


def _hourly(trace: Trace) -> tuple[int, _Floats]:
    """First hour since 1970, and the mean of each hour; NaN unless the steps cover all of it."""
    first = int(trace.steps[0].start_seconds // SECONDS_PER_HOUR)
    last = int(-(-trace.steps[-1].end_seconds // SECONDS_PER_HOUR))
    count = last - first
    starts = np.array([step.start_seconds for step in trace.steps]) / SECONDS_PER_HOUR - first
    ends = np.array([step.end_seconds for step in trace.steps]) / SECONDS_PER_HOUR - first
    values = np.array([step.g_per_kwh for step in trace.steps])
    seconds, grams = np.zeros(count), np.zeros(count)
    hour, begin = np.floor(starts).astype(int), starts
    while True:
        stop = np.minimum(ends, hour + 1)
        part = np.maximum(stop - begin, 0.0)
        place = np.minimum(hour, count - 1)
        np.add.at(seconds, place, part)
        np.add.at(grams, place, part * values)
        if not np.any(stop < ends):
            break
        begin, hour = np.where(stop < ends, hour + 1, ends), hour + 1
    whole = seconds > 1 - 1e-9
    return first, np.where(whole, grams / np.where(whole, seconds, 1.0), np.nan)


def forecast(trace: Trace, now: datetime, hours: int = 24) -> Trace:
    """Forecasts the hours to come from the past of a trace.

    Args:
        trace: Known intensity. What lies at or after ``now`` is not used, nor is the hour in which
            ``now`` falls: it is not over.
        now: Instant of the forecast, with a time zone.
        hours: How many hours ahead, 1 to :data:`LONGEST_HOURS`.

    Returns:
        Hourly steps, all marked as estimated, from the start of the hour in which ``now`` falls.

    Raises:
        UsageError: ``hours`` is out of range, or ``now`` has no time zone.
        DataError: Too little is known before ``now``.
    """
    if not 1 <= hours <= LONGEST_HOURS:
        raise UsageError(f"hours: must be 1 to {LONGEST_HOURS}, got {hours}; ask for fewer")
    origin = int(instant_seconds("now", now) // SECONDS_PER_HOUR)
    # One hour more, so that `hours` are covered where `now` is not on the hour.
    values = Forecaster(trace).hours(origin)[: hours + 1]
    steps = tuple(
        IntensityStep(hour * SECONDS_PER_HOUR, (hour + 1) * SECONDS_PER_HOUR, value, estimated=True)
        for hour, value in enumerate(values.tolist(), start=origin)
    )
    return Trace(
        steps, trace.region, f"forecast from the past of {trace.source}", trace.kind, trace.basis
    )

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.forecast import LONGEST_HOURS, Forecaster, forecast
from greenfront.objectives.carbon.traces import IntensityStep, Trace

FIRST = datetime(2026, 1, 5, tzinfo=UTC)
HOURS = 24 * 70


def after(hours: float) -> datetime:
    return FIRST + timedelta(hours=hours)


def made(values: np.ndarray, minutes: int = 60, missing: set[int] | None = None) -> Trace:
    rows = [
        (after(index * minutes / 60).timestamp(), float(value), False)
        for index, value in enumerate(values)
        if index not in (missing or set())
    ]
    return Trace.of_rows(rows, region="HERE", source="made", step_seconds=60.0 * minutes)


def daily(count: int = HOURS, seed: int = 0) -> np.ndarray:
    """A day's wave, and weather that lasts for a day or so."""
    random = np.random.default_rng(seed)
    weather = np.zeros(count)
    for hour in range(1, count):
        weather[hour] = 0.95 * weather[hour - 1] + random.normal(0, 10)
    return np.maximum(300 + 80 * np.sin(2 * np.pi * np.arange(count) / 24) + weather, 0)


def numbers(trace: Trace) -> list[float]:
    return [step.g_per_kwh for step in trace.steps]


@pytest.mark.parametrize("hour", [24 * 3, 24 * 20 + 7, 24 * 60 + 13.5])
def test_the_future_does_not_matter(hour: float) -> None:
    values = daily()
    other = values.copy()
    other[int(hour) :] = np.random.default_rng(1).uniform(0, 900, HOURS - int(hour))
    ours, theirs = (forecast(made(v), after(hour), 95) for v in (values, other))
    assert numbers(ours) == numbers(theirs)
    assert numbers(ours) == numbers(forecast(made(values[: int(hour)]), after(hour), 95))
    # and it is no constant: another past gives another forecast
    other[: int(hour)] = values[: int(hour)] * 1.1
    assert numbers(forecast(made(other), after(hour), 95)) != numbers(ours)


def test_missing_future_rows_do_not_matter_either() -> None:
    values = daily()
    hour = 24 * 40 + 5
    gap = set(range(hour, hour + 30))
    whole, gapped = (forecast(made(values, missing=m), after(hour)) for m in (set(), gap))
    assert numbers(whole) == numbers(gapped)


def test_a_day_like_the_other_is_foretold_exactly() -> None:
    values = np.tile(np.arange(24.0) * 10, 70)
    told = forecast(made(values), after(24 * 50 + 9), LONGEST_HOURS)
    assert numbers(told) == pytest.approx([float((9 + i) % 24) * 10 for i in range(96)], abs=1e-6)


def test_it_beats_the_value_of_a_day_before() -> None:
    values = daily()
    trace = made(values)
    ours, naive = [], []
    forecaster = Forecaster(trace)
    first = int(FIRST.timestamp() // 3600)
    for hour in range(24 * 35, HOURS - 24, 7):
        told = forecaster.hours(first + hour)[:24]
        ours.append(np.abs(told - values[hour : hour + 24]).mean())
        naive.append(np.abs(values[hour - 24 : hour] - values[hour : hour + 24]).mean())
    assert np.mean(ours) < 0.9 * np.mean(naive)


def test_gaps_do_little_harm() -> None:
    values = daily()
    random = np.random.default_rng(2)
    missing = set(random.choice(HOURS, HOURS // 10, replace=False).tolist()) - {0, HOURS - 1}
    missing |= set(range(24 * 30, 24 * 31))  # a day that is missing altogether
    whole, gapped = made(values), made(values, missing=missing)
    for hour in (24 * 31, 24 * 45 + 3, 24 * 60 + 18):
        ours, theirs = (np.array(numbers(forecast(t, after(hour)))) for t in (whole, gapped))
        assert np.isfinite(theirs).all()
        assert np.abs(ours - theirs).mean() < 30


def test_half_hours_are_averaged_and_half_an_hour_is_not_known() -> None:
    values = daily()
    halves = np.repeat(values, 2) + np.tile([5.0, -5.0], HOURS)
    now = after(24 * 40 + 6.5)
    assert numbers(forecast(made(halves, 30), now)) == pytest.approx(
        numbers(forecast(made(values), now))
    )


def test_steps_start_in_the_present_hour_and_cover_what_is_asked() -> None:
    told = forecast(made(daily()), after(24 * 40 + 6.5), 12)
    assert told.start == after(24 * 40 + 6)
    assert told.covers(after(24 * 40 + 6.5), after(24 * 40 + 18.5))
    assert all(step.estimated for step in told.steps)
    assert "forecast from the past of made" in told.source


def test_it_is_never_negative() -> None:
    values = np.concatenate([np.full(24 * 40, 100.0), [0.0] * 24])
    assert min(numbers(forecast(made(values), after(24 * 41), 90))) >= 0


def test_too_little_past_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"made: a forecast needs at least 48 known hours .* got 47"
    ):
        forecast(made(daily()), after(47))
    assert len(numbers(forecast(made(daily()), after(48)))) == 25


def test_data_that_ended_long_ago_are_refused() -> None:
    with pytest.raises(DataError, match=r"at least 48 known hours .* got 0"):
        forecast(made(daily()), after(HOURS + 24 * 29))


def test_a_stretch_between_the_last_value_and_now_is_bridged() -> None:
    """Services tell the past with a delay of hours."""
    values = daily()
    late = forecast(made(values[: 24 * 40]), after(24 * 40 + 3))
    assert np.abs(np.array(numbers(late)) - values[24 * 40 + 3 : 24 * 41 + 4]).mean() < 60


@pytest.mark.parametrize("hours", [0, 97])
def test_hours_out_of_range_are_refused(hours: int) -> None:
    with pytest.raises(UsageError, match=rf"hours: must be 1 to 96, got {hours}"):
        forecast(made(daily()), after(24 * 40), hours)


def test_a_step_across_hours_counts_in_each() -> None:
    steps = tuple(
        IntensityStep(
            (after(2 * i)).timestamp(), after(2 * i + 2).timestamp(), 100.0 + 10 * (i % 12)
        )
        for i in range(12 * 40)
    )
    told = forecast(Trace(steps, "HERE", "two hours a step"), after(24 * 40), 24)
    expected = [100.0 + 10 * (hour // 2 % 12) for hour in range(25)]
    assert numbers(told) == pytest.approx(expected, abs=1e-6)

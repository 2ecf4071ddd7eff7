from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.schedule import (
    Plan,
    best_hours,
    best_window,
    decide,
    usual_best,
)
from greenfront.objectives.carbon.traces import Trace

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
QUARTER = 900.0
ROUND_VALUES = st.integers(0, 40).map(lambda tens: 10.0 * tens)


def after(hours: float) -> datetime:
    return MIDNIGHT + timedelta(hours=hours)


def hourly(values: list[float | None]) -> Trace:
    rows = [(after(hour).timestamp(), value, False) for hour, value in enumerate(values)]
    return Trace.of_rows(rows, region="HERE", source="test", step_seconds=3600)


def quarters(trace: Trace, first: int, last: int) -> list[float]:
    """Means of each quarter of an hour; NaN where the trace says nothing."""
    starts = MIDNIGHT.timestamp() + QUARTER * np.arange(first, last)
    return list(trace.means(starts, QUARTER).tolist())


def emissions(trace: Trace, plan: Plan) -> tuple[float, float]:
    """Seconds of work of a plan, and their mean intensity."""
    parts = [
        ((end - start).total_seconds(), trace.mean_between(start, end))
        for start, end in plan.stretches
    ]
    seconds = sum(length for length, _ in parts)
    return seconds, sum(length * value for length, value in parts) / seconds


cases = given(
    st.lists(st.one_of(ROUND_VALUES, ROUND_VALUES, st.none()), min_size=2, max_size=14),
    st.integers(0, 20),
    st.integers(1, 12),
    st.integers(0, 24),
)


@cases
def test_best_window_equals_brute_force(
    values: list[float | None], first: int, work: int, slack: int
) -> None:
    """With all bounds on quarters of an hour the best start is on a quarter."""
    assume(values[0] is not None and values[-1] is not None)
    trace = hourly(values)
    last = min(first + work + slack, 4 * len(values))
    assume(last - first >= work)
    known = quarters(trace, first, last)
    means = [float(np.mean(known[at : at + work])) for at in range(last - first - work + 1)]
    means = [mean for mean in means if not math.isnan(mean)]
    bounds = (after(first / 4), after(last / 4))
    if not means:
        with pytest.raises(DataError, match="must cover"):
            best_window(trace, *bounds, work * QUARTER)
        return
    plan = best_window(trace, *bounds, work * QUARTER)
    assert plan.g_per_kwh == pytest.approx(min(means), abs=1e-6)
    assert bounds[0] <= plan.start < plan.end <= bounds[1]
    assert emissions(trace, plan) == pytest.approx((work * QUARTER, plan.g_per_kwh), abs=1e-6)


@cases
def test_best_hours_equal_brute_force(
    values: list[float | None], first: int, work: int, slack: int
) -> None:
    assume(values[0] is not None and values[-1] is not None)
    trace = hourly(values)
    last = min(first + work + slack, 4 * len(values))
    assume(last - first >= work)
    known = sorted(q for q in quarters(trace, first, last) if not math.isnan(q))
    bounds = (after(first / 4), after(last / 4))
    if len(known) < work:
        with pytest.raises(DataError, match="must cover"):
            best_hours(trace, *bounds, work * QUARTER)
        return
    plan = best_hours(trace, *bounds, work * QUARTER)
    assert plan.g_per_kwh == pytest.approx(float(np.mean(known[:work])), abs=1e-6)
    assert bounds[0] <= plan.start < plan.end <= bounds[1]
    for (_, end), (start, _) in itertools.pairwise(plan.stretches):
        assert end < start
    assert emissions(trace, plan) == pytest.approx((work * QUARTER, plan.g_per_kwh), abs=1e-6)


@given(
    st.lists(ROUND_VALUES, min_size=4, max_size=12),
    st.floats(0, 2),
    st.floats(0.01, 2),
    st.floats(0, 1),
)
def test_no_finer_start_is_better(
    values: list[float], first: float, work: float, at: float
) -> None:
    """Edges, earliest, deadline and length at any fraction of an hour."""
    trace = hourly(list(values))
    bounds = (after(first), after(len(values)))
    assume((bounds[1] - bounds[0]).total_seconds() >= work * 3600)
    plan = best_window(trace, *bounds, work * 3600)
    latest = bounds[1] - timedelta(hours=work)
    start = bounds[0] + at * (latest - bounds[0])
    other = float(trace.means(np.array([start.timestamp()]), work * 3600)[0])
    assert math.isnan(other) or plan.g_per_kwh <= other + 1e-6
    assert best_hours(trace, *bounds, work * 3600).g_per_kwh <= plan.g_per_kwh + 1e-6


def test_of_equal_windows_the_earliest() -> None:
    trace = hourly([300.0, 100.0, 300.0, 100.0, 300.0])
    plan = best_window(trace, after(0), after(5), 3600)
    assert (plan.start, plan.g_per_kwh) == (after(1), 100)
    assert best_hours(trace, after(0), after(5), 3600).start == after(1)


def test_a_part_of_an_hour_lies_next_to_the_work_that_follows() -> None:
    plan = best_hours(hourly([500.0, 200.0, 100.0, 500.0]), after(0), after(4), 1.5 * 3600)
    assert plan.stretches == ((after(1.5), after(3)),)


def test_work_in_a_filled_gap_is_counted() -> None:
    plan = best_window(hourly([100.0, None, 100.0]), after(0), after(3), 3 * 3600)
    assert plan.filled_share == pytest.approx(1 / 3)


def test_a_long_gap_is_not_offered() -> None:
    trace = hourly([300.0, 300.0, *[None] * 8, 100.0, 100.0])
    assert best_window(trace, after(0), after(12), 2 * 3600).start == after(10)
    with pytest.raises(DataError, match=r"without a long gap .* give a trace or forecast"):
        best_window(trace, after(0), after(12), 3 * 3600)
    assert len(best_hours(trace, after(0), after(12), 3 * 3600).stretches) == 2


def test_a_deadline_that_is_too_short_is_refused() -> None:
    for plan in (best_window, best_hours):
        with pytest.raises(UsageError, match=r"deadline: must leave 7200 s .* start at once"):
            plan(hourly([1.0, 1.0]), after(0), after(1), 7200)
        with pytest.raises(UsageError, match=r"seconds: must be a finite number over 0, got 0"):
            plan(hourly([1.0, 1.0]), after(0), after(1), 0)


VALLEY = hourly([300.0, 200.0, 100.0, 150.0, 400.0, 400.0])


def test_it_waits_for_the_valley_and_asks_again_each_hour() -> None:
    told = decide(after(0.25), 3600, after(6), VALLEY, may_pause=False)
    assert not told.run
    assert (told.until, told.planned_start, told.g_per_kwh) == (after(1), after(2), 100)
    assert told.why == (
        "wait until 2026-03-01 02:00 UTC: 100 g/kWh instead of 275 when run through from now, "
        "done by 2026-03-01 06:00 UTC"
    )


def test_it_runs_in_the_valley() -> None:
    told = decide(after(2), 3600, after(6), VALLEY, may_pause=False)
    assert told.run
    assert (told.until, told.planned_start, told.g_per_kwh) == (after(3), after(2), 100)
    assert "no better time" in told.why


def test_pausing_work_skips_the_hill_in_between() -> None:
    hill = hourly([100.0, 500.0, 100.0, 500.0])
    now, done, left = after(0), [], 2 * 3600.0
    while left > 0:
        told = decide(now, left, after(4), hill)
        if told.run:
            done.append((now, told.until))
            left -= (told.until - now).total_seconds()
        now = told.until
    assert done == [(after(0), after(1)), (after(2), after(3))]


@given(st.lists(ROUND_VALUES, min_size=6, max_size=12), st.integers(1, 5), st.booleans())
def test_a_study_that_obeys_gets_the_best_plan_and_keeps_the_deadline(
    values: list[float], quarter_hours: int, may_pause: bool
) -> None:
    trace = hourly(list(values))
    end = after(len(values))
    work = quarter_hours * QUARTER * 2
    now, left, grams = after(0), work, 0.0
    for _ in range(200):
        told = decide(now, left, end, trace, may_pause=may_pause)
        assert told.until > now
        if told.run:
            stop = told.until if may_pause else now + timedelta(seconds=left)
            stop = min(stop, now + timedelta(seconds=left))
            grams += trace.mean_between(now, stop) * (stop - now).total_seconds()
            left -= (stop - now).total_seconds()
            now = stop
        else:
            now = told.until
        if left < 1e-3:
            break
    assert left < 1e-3
    assert now <= end + timedelta(milliseconds=1)
    plan = (best_hours if may_pause else best_window)(trace, after(0), end, work)
    assert grams / work == pytest.approx(plan.g_per_kwh, abs=1e-3)


def test_a_deadline_without_slack_starts_at_once_and_says_so() -> None:
    told = decide(after(0), 6 * 3600, after(6), VALLEY)
    assert told.run
    assert told.why == "run now: the deadline 2026-03-01 06:00 UTC leaves no time to wait"
    told = decide(after(1), 6 * 3600, after(6), VALLEY, pause_above=10)
    assert told.run
    assert "will be missed by 60 min" in told.why
    assert decide(after(30), 6 * 3600, after(6), VALLEY).why.endswith("missed by 30 h")
    assert told.g_per_kwh is None


def test_without_a_forecast_it_runs_and_says_so() -> None:
    told = decide(after(100), 3600, after(110), VALLEY)
    assert told.run
    assert told.why.startswith("run now: no forecast to wait for (test: must cover")
    assert told.until == after(101)


def test_no_work_is_left() -> None:
    assert decide(after(0), 0, after(6), VALLEY).why == "no work is left"


@pytest.mark.parametrize(
    ("hour", "run", "until", "start"),
    [(0, False, 1, 2), (1.5, False, 2, 2), (2.5, True, 3, 2.5), (3, True, 4, 3)],
)
def test_a_threshold(hour: float, run: bool, until: float, start: float) -> None:
    told = decide(after(hour), 600, after(6), VALLEY, pause_above=150)
    assert (told.run, told.until, told.planned_start) == (run, after(until), after(start))


def test_a_threshold_that_is_never_met_waits_for_the_last_moment() -> None:
    told = decide(after(4), 3600, after(6), VALLEY, pause_above=150)
    assert (told.run, told.planned_start) == (False, after(5))
    assert "the last moment for the deadline" in told.why
    assert decide(after(5), 3600, after(6), VALLEY, pause_above=150).run


def test_a_threshold_where_the_trace_says_nothing() -> None:
    told = decide(after(-2), 3600, after(6), VALLEY, pause_above=150)
    assert told.run
    assert "says nothing of this moment" in told.why


@pytest.mark.parametrize("pause_above", [-1.0, math.nan])
def test_impossible_numbers_are_refused(pause_above: float) -> None:
    with pytest.raises(UsageError, match=r"pause_above: must be .* got"):
        decide(after(0), 1, after(6), VALLEY, pause_above=pause_above)
    with pytest.raises(UsageError, match=r"remaining_seconds: must be .* got"):
        decide(after(0), pause_above, after(6), VALLEY)


@given(st.lists(ROUND_VALUES, min_size=8, max_size=30), st.integers(1, 3), st.integers(0, 4))
def test_usual_best_is_the_mean_over_all_starts(values: list[float], work: int, slack: int) -> None:
    best = [
        min(np.mean(values[at + wait : at + wait + work]) for wait in range(slack + 1))
        for at in range(len(values) - work - slack + 1)
    ]
    found = usual_best(hourly(list(values)), work * 3600, (work + slack) * 3600)
    assert found == pytest.approx(float(np.mean(best)), abs=1e-6)


def test_usual_best_needs_a_trace_as_long_as_the_deadline() -> None:
    with pytest.raises(DataError, match=r"at least as long as the deadline of 9 h, got 6 h"):
        usual_best(VALLEY, 3600, 9 * 3600)
    with pytest.raises(DataError, match=r"without a long gap, got none"):
        usual_best(hourly([1.0, *[None] * 8, 1.0]), 3600, 9 * 3600)
    with pytest.raises(UsageError, match=r"within_seconds: must be .* got 60"):
        usual_best(VALLEY, 3600, 60)

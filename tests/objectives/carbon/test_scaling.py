"""How many workers run in which hours: against every allocation there is."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.errors import UsageError
from greenfront.objectives.carbon.scaling import allocation, gains
from greenfront.objectives.carbon.schedule import best_hours, decide
from greenfront.objectives.carbon.traces import Trace

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = 3600.0
THREE = (1.0, 1.75, 2.25)


def after(hours: float) -> datetime:
    return MIDNIGHT + timedelta(hours=hours)


def hourly(values: list[float]) -> Trace:
    rows = [(after(hour).timestamp(), value, False) for hour, value in enumerate(values)]
    return Trace.of_rows(rows, region="HERE", source="test", step_seconds=3600)


def least_grams(values: list[float], work: float) -> float:
    """By trying all: hours of 0 to 3 workers that do so much work at least, one of them in part.

    Of the best allocation at most one worker in one hour runs for a part of it.
    """
    done = (0.0, *THREE)
    found = math.inf
    for levels in itertools.product(range(4), repeat=len(values)):
        grams = sum(level * value for level, value in zip(levels, values, strict=True))
        surplus = sum(done[level] for level in levels) - work
        if surplus < -1e-9:
            continue
        spared = [
            value * surplus / (done[level] - done[level - 1])
            for level, value in zip(levels, values, strict=True)
            if level and done[level] - done[level - 1] >= surplus - 1e-9
        ]
        if spared:
            found = min(found, grams - max(spared))
    return found


@given(
    st.lists(st.integers(1, 40).map(lambda tens: 10.0 * tens), min_size=1, max_size=4),
    st.floats(0.05, 1.0),
)
def test_no_other_allocation_emits_less(values: list[float], share: float) -> None:
    work = share * THREE[-1] * len(values)
    plan = best_hours(hourly(values), after(0), after(len(values)), work * HOUR, THREE)
    grams = plan.g_per_kwh * plan.worker_seconds / HOUR
    assert grams == pytest.approx(least_grams(values, work), rel=1e-6)
    done = (0.0, *THREE)
    worked = sum(
        done[count] * (end - start).total_seconds()
        for count, (start, end) in zip(plan.workers, plan.stretches, strict=True)
    )
    assert worked == pytest.approx(work * HOUR, abs=1e-3)
    assert all(1 <= count <= 3 for count in plan.workers)


def test_more_workers_in_green_hours_and_none_in_dirty_ones() -> None:
    # A second worker pays below 300 / .75, a third one below 300 / .5 of the hour of 300 g.
    trace = hourly([900.0, 300.0, 150.0, 240.0])
    plan = best_hours(trace, after(0), after(4), 5.0 * HOUR, THREE)
    assert plan.stretches == ((after(1), after(2)), (after(2), after(3)), (after(3), after(4)))
    assert plan.workers == (1, 3, 2)
    assert plan.worker_seconds == 6 * HOUR
    assert plan.g_per_kwh == pytest.approx((300 + 3 * 150 + 2 * 240) / 6)


def test_equal_gains_are_fewer_hours_of_all() -> None:
    trace = hourly([400.0, 100.0, 200.0, 300.0])
    alone = best_hours(trace, after(0), after(4), 2 * HOUR)
    together = best_hours(trace, after(0), after(4), 4 * HOUR, (1.0, 2.0))
    assert together.stretches == alone.stretches
    assert together.workers == (2,)
    assert together.g_per_kwh == alone.g_per_kwh


def test_the_part_of_an_hour_has_one_worker_more() -> None:
    plan = best_hours(hourly([500.0, 100.0]), after(0), after(2), 1.375 * HOUR, THREE)
    assert plan.stretches == ((after(1), after(1.5)), (after(1.5), after(2)))
    assert plan.workers == (2, 1)


def test_what_is_done_now() -> None:
    trace = hourly([300.0, 150.0, 240.0, 900.0])
    told = decide(after(0), 5 * HOUR, after(4), trace, throughput=THREE)
    assert (told.workers, told.until) == (1, after(1))
    assert "with 1 of 3 workers" in told.why
    told = decide(after(1), 4 * HOUR, after(4), trace, throughput=THREE)
    assert (told.workers, told.until) == (3, after(2))
    assert "workers" not in told.why
    dirty = decide(after(0), 2 * HOUR, after(3), hourly([900.0, 100.0, 900.0]), throughput=THREE)
    assert dirty.workers == 0
    late = decide(after(0), 9 * HOUR, after(4), trace, throughput=THREE)
    assert (late.workers, late.until) == (3, after(4))


@given(st.lists(st.floats(1, 40), min_size=4, max_size=10), st.floats(0.1, 0.9))
def test_a_study_that_obeys_gets_the_best_plan(values: list[float], share: float) -> None:
    trace = hourly(values)
    end, work = after(len(values)), share * THREE[-1] * len(values) * HOUR
    done, now, left, grams = (0.0, *THREE), after(0), work, 0.0
    for _ in range(100):
        told = decide(now, left, end, trace, throughput=THREE)
        assert told.until > now
        if told.run:
            stop = min(told.until, now + timedelta(seconds=left / done[told.workers]))
            seconds = (stop - now).total_seconds()
            grams += told.workers * trace.mean_between(now, stop) * seconds
            left -= done[told.workers] * seconds
            now = stop
        else:
            now = told.until
        if left < 1e-2:
            break
    assert left < 1e-2
    assert now <= end + timedelta(milliseconds=10)
    plan = best_hours(trace, after(0), end, work, THREE)
    assert grams == pytest.approx(plan.g_per_kwh * plan.worker_seconds, rel=1e-4)


@pytest.mark.parametrize(
    "throughput",
    [[], [0.9, 1.8], [1.0, 1.0], [1.0, 0.5], [1.0, 1.5, 2.5], [1.0, math.inf], [1.0, math.nan]],
)
def test_what_no_workers_do_is_refused(throughput: list[float]) -> None:
    with pytest.raises(UsageError, match="throughput: must begin with 1 and rise"):
        gains(throughput)


def test_arguments_are_left_as_they_are() -> None:
    lengths, values, gained = np.full(3, HOUR), np.array([3.0, 1.0, 2.0]), gains(THREE)
    copies = lengths.copy(), values.copy(), gained.copy()
    allocation(lengths, values, HOUR, gained)
    for kept, copy in zip((lengths, values, gained), copies, strict=True):
        np.testing.assert_array_equal(kept, copy)

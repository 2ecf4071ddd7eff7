from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.traces import IntensityStep, Trace

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def after(hours: float) -> datetime:
    return MIDNIGHT + timedelta(hours=hours)


def hourly(values: dict[int, float]) -> Trace:
    """A trace from hour of the month → g/kWh."""
    rows = [(after(hour).timestamp(), value, False) for hour, value in values.items()]
    return Trace.of_rows(rows, region="HERE", source="test", step_seconds=3600)


def test_means_weigh_by_time() -> None:
    trace = hourly({0: 100.0, 1: 200.0, 2: 400.0})
    assert trace.mean() == pytest.approx(700 / 3)
    assert trace.mean_between(after(0), after(1)) == 100
    # half an hour of 100, an hour of 200, a quarter of 400
    expected = (50 + 200 + 100) / 1.75
    assert trace.mean_between(after(0.5), after(2.25)) == pytest.approx(expected)


@given(
    st.lists(st.floats(0, 1000), min_size=3, max_size=30),
    st.floats(0, 1),
    st.floats(0.01, 1),
    st.floats(0.01, 1),
)
def test_means_of_two_parts_make_the_mean_of_the_whole(
    values: list[float], begin: float, middle: float, end: float
) -> None:
    trace = hourly(dict(enumerate(values)))
    hours = sorted({begin * 0.3 * len(values), len(values) * 0.5 * middle, len(values) * end})
    if len(hours) < 3 or min(hours[1] - hours[0], hours[2] - hours[1]) < 0.01:
        return
    a, b, c = map(after, hours)
    parts = trace.mean_between(a, b) * (b - a).total_seconds()
    parts += trace.mean_between(b, c) * (c - b).total_seconds()
    whole = trace.mean_between(a, c) * (c - a).total_seconds()
    assert parts == pytest.approx(whole, rel=1e-6, abs=1e-2)


def test_a_short_gap_is_filled_by_the_line_between_its_sides_and_counted() -> None:
    trace = hourly({0: 100.0, 1: 100.0, 4: 400.0, 5: 400.0})
    assert trace.mean_between(after(2), after(3)) == pytest.approx(200)
    assert trace.mean_between(after(3), after(4)) == pytest.approx(300)
    assert trace.filled_share(after(1), after(5)) == pytest.approx(0.5)
    assert trace.filled_share(after(0), after(2)) == 0
    assert trace.filled_share(trace.start, trace.end) == pytest.approx(2 / 6)
    assert trace.mean() == 250  # nothing that is filled counts


def test_the_longest_gap_that_is_filled_and_the_shortest_that_is_not() -> None:
    filled = hourly({0: 100.0, 7: 100.0})
    assert filled.covers(after(0), after(8))
    assert filled.mean_between(after(0), after(8)) == pytest.approx(100)
    open_gap = hourly({0: 100.0, 8: 100.0})
    assert not open_gap.covers(after(0), after(2))
    assert open_gap.covers(after(0), after(1))
    assert open_gap.covers(after(8), after(9))
    with pytest.raises(DataError, match=r"test: must cover .* choose a stretch inside it"):
        open_gap.mean_between(after(0), after(9))


def test_nothing_is_known_outside() -> None:
    trace = hourly({0: 100.0, 1: 100.0})
    assert trace.covers(after(0), after(2))
    assert not trace.covers(after(-0.1), after(1))
    assert not trace.covers(after(1), after(2.1))


@pytest.mark.parametrize("hour", [2, 24 * 28])
def test_local_time_zones_do_not_matter(hour: int) -> None:
    trace = hourly({hour: 100.0, hour + 1: 300.0})
    summer = timezone(timedelta(hours=2))
    start = after(hour).astimezone(summer)
    assert trace.mean_between(start, start + timedelta(hours=2)) == 200


def test_naive_instants_are_refused() -> None:
    trace = hourly({0: 100.0})
    with pytest.raises(UsageError, match=r"start: must carry a time zone, got 2026-03-01T00"):
        trace.covers(datetime(2026, 3, 1), after(1))


def test_an_empty_stretch_is_refused() -> None:
    with pytest.raises(UsageError, match=r"end: must be after start"):
        hourly({0: 100.0}).mean_between(after(1), after(1))


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_impossible_intensities_are_refused(value: float) -> None:
    with pytest.raises(DataError, match=r"test: an intensity must be .* got .* at 2026-03-01"):
        hourly({0: 100.0, 1: value})


def test_overlap_disorder_and_nothing_are_refused() -> None:
    steps = (IntensityStep(0, 3600, 1.0), IntensityStep(1800, 5400, 1.0))
    with pytest.raises(DataError, match="without overlap"):
        Trace(steps, "HERE", "test")
    with pytest.raises(DataError, match="without overlap"):
        Trace((IntensityStep(3600, 7200, 1.0), IntensityStep(0, 3600, 1.0)), "HERE", "test")
    with pytest.raises(DataError, match="at least one value"):
        Trace((), "HERE", "test")


def test_what_is_estimated_stays_marked() -> None:
    rows = [(0.0, 1.0, False), (3600.0, None, True), (7200.0, 1.0, True)]
    trace = Trace.of_rows(rows, region="HERE", source="test")
    assert [step.estimated for step in trace.steps] == [False, True]


def test_one_row_alone_does_not_say_how_long_it_holds() -> None:
    with pytest.raises(DataError, match="at least two rows"):
        Trace.of_rows([(0.0, 1.0, False)], region="HERE", source="test")


def of_instants(minutes: list[float], values: list[float]) -> Trace:
    rows = [(60.0 * at, value, False) for at, value in zip(minutes, values, strict=True)]
    return Trace.of_rows(rows, region="HERE", source="test")


@pytest.mark.parametrize("reverse", [False, True])
def test_each_row_counts_for_its_own_span_where_the_resolution_changes(reverse: bool) -> None:
    """Ten days of hours and ten days of quarters, whichever come first: their plain mean."""
    coarse, fine = 60.0 * np.arange(240), 15.0 * np.arange(960)
    first, second = (fine, coarse) if reverse else (coarse, fine)
    values = [100.0 + 400.0 * (reverse == (at is first)) for at in (first, second) for _ in at]
    trace = of_instants([*first, *(second + 14_400)], values)
    assert trace.mean() == pytest.approx(300.0, rel=1e-12)
    assert trace.end - trace.start == timedelta(days=20)
    assert trace.filled_share(trace.start, trace.end) == 0


def test_a_missing_row_is_a_gap_in_either_resolution() -> None:
    hours = [60.0 * at for at in range(12) if at != 5]
    quarters = [720 + 15.0 * at for at in range(60) if at != 30]
    trace = of_instants(hours + quarters, [1.0] * 70)
    share = trace.filled_share(trace.start, trace.end)
    assert share == pytest.approx((60 + 15) / (720 + 900))


def test_months_and_years_are_resolutions_though_they_differ_in_length() -> None:
    starts = [datetime(2025, month, 1, tzinfo=UTC).timestamp() for month in range(1, 13)]
    rows = [(start, float(month), False) for month, start in enumerate(starts, start=1)]
    trace = Trace.of_rows(rows, region="HERE", source="test")
    days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    expected = sum(month * length for month, length in enumerate(days, start=1)) / 365
    assert trace.mean() == pytest.approx(expected, rel=1e-12)
    assert trace.end == datetime(2026, 1, 1, tzinfo=UTC)

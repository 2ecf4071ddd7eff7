from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.tables import table_of
from greenfront.objectives.tasks.tables.dates import ISO, date_format, parse_dates
from greenfront.objectives.tasks.tables.infer import Hints, infer


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["2026-01-31", "2026-02-01"], ISO),
        (["2026-01-31 08:30", "2026-02-01T09:00:00+02:00"], ISO),
        (["31.01.2026", "01.02.2026"], "%d.%m.%Y"),
        (["01/31/2026", "02/01/2026"], "%m/%d/%Y"),
        (["01/02/2026", "31/01/2026"], "%d/%m/%Y"),
        (["01/02/2026", "03/04/2026"], "%m/%d/%Y"),
        (["31-Jan-2026", "1-Feb-2026"], "%d-%b-%Y"),
        (["January 31, 2026", "May 2, 2026"], "%B %d, %Y"),
        (["1/31/2026 5:30 PM", "2/1/2026 11:00 AM"], "%m/%d/%Y %I:%M %p"),
        (["08:30", "23:59"], "%H:%M"),
        (["2026-01", "2025-12"], "%Y-%m"),
        (["north", "south 3"], None),
        (["10.0.0.1", "10.0.0.2"], None),
        (["A-1", "B-2"], None),
    ],
)
def test_formats(texts, form):
    assert date_format(texts) == form


def test_parts():
    parts = parse_dates(["2026-11-26 14:30", "no", "2024-02-29"], ISO)
    np.testing.assert_array_equal(parts[0], [2026, 11, 26, 3, 14.5])
    assert np.isnan(parts[1]).all()
    np.testing.assert_array_equal(parts[2], [2024, 2, 29, 3, 0])


@pytest.mark.parametrize(
    ("days", "ambiguous"), [(["01/02/2026", "03/04/2026"], True), (["01/13/2026"] * 2, False)]
)
def test_a_day_that_could_be_a_month_is_warned_about(days, ambiguous):
    column = table_of({"day": days}).column("day")
    found = infer(column, Hints("toy", kept=True))
    assert found.report.kind == "date"
    assert ("other way round" in (found.report.warning or "")) == ambiguous


@given(st.lists(st.datetimes(min_value=datetime(1, 1, 2)), min_size=1))
def test_any_moment_is_read_again(moments):
    texts = [moment.isoformat() for moment in moments]
    parts = parse_dates(texts, ISO)
    for moment, (year, month, day, weekday, hour) in zip(moments, parts, strict=True):
        start = datetime(int(year), int(month), int(day)) + timedelta(hours=hour)
        assert abs(start - moment) < timedelta(seconds=1.1)
        assert weekday == moment.weekday()

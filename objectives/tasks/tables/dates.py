"""Dates and times as people write them, and the numbers that stand for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

__all__ = ["PARTS", "date_format", "parse_dates"]

PARTS = ("year", "month", "day", "weekday", "hour")
"""What a date is made into; Monday is 0, and an hour has its minutes as decimals."""

ISO = "ISO 8601"

_DATES = (
    *("%d.%m.%Y", "%d.%m.%y", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y"),
    *("%d/%m/%y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%a, %d %b %Y", "%d. %B %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", ", %H:%M", ", %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_FORMATS = (
    ISO,
    *(f"{day}{time}" for day in _DATES for time in _TIMES),
    *("%Y-%m", "%m/%Y", "%b %Y", "%B %Y", "%H:%M", "%H:%M:%S", "%I:%M %p"),
)
_LOOKS_LIKE_ONE = re.compile(r"\d.*[-/.: ]|[-/.: ].*\d", re.DOTALL)
_SAMPLE = 50


def date_format(texts: Sequence[str]) -> str | None:
    """The format that most of these texts have, the more usual of two that fit equally well.

    Returns:
        :data:`ISO` or a format of ``strptime``; ``None`` where none fits half of the texts.
    """
    sample = texts[:: max(1, len(texts) // _SAMPLE)]
    if sum(_LOOKS_LIKE_ONE.search(text) is not None for text in sample) < len(sample) / 2:
        return None
    fitting = {form: _fitting(sample, form) for form in _FORMATS}
    # All of them decide between day/month and month/day: only some days are above 12.
    close = [form for form in _FORMATS if fitting[form] >= len(sample) / 2]
    if not close:
        return None
    if len(close) == 1:
        return close[0]
    return max(close, key=lambda form: (_fitting(texts, form), -_FORMATS.index(form)))


def parse_dates(texts: Sequence[str], form: str) -> NDArray[np.float64]:
    """The parts of each date, float64 ``[len(texts), len(PARTS)]``; NaN for other texts."""
    parse = _parser(form)
    values = np.full((len(texts), len(PARTS)), np.nan)
    for row, text in enumerate(texts):
        moment = parse(text)
        if moment is not None:
            hour = moment.hour + moment.minute / 60 + moment.second / 3600
            values[row] = (moment.year, moment.month, moment.day, moment.weekday(), hour)
    return values


def _fitting(texts: Sequence[str], form: str) -> int:
    parse = _parser(form)
    return sum(parse(text) is not None for text in texts)


def _parser(form: str) -> Callable[[str], datetime | None]:
    def parse(text: str) -> datetime | None:
        try:
            if form == ISO:
                return datetime.fromisoformat(text)
            return datetime.strptime(text, form)
        except (ValueError, OverflowError):
            return None

    return parse

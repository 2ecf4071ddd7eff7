"""Numbers as people write them."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["MARKERS", "NumberStyle", "number_style", "parse_numbers"]

NumberStyle = Literal["point", "comma"]
"""Which of the two marks stands before the decimals; the other one may group thousands."""

MARKERS = frozenset(
    (
        *("?", "-", "--", "–", "—", ".", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "nat"),
        *("null", "none", "nil", "missing", "unknown", "#div/0!", "#value!", "#num!", "#ref!"),
        *("inf", "-inf", "+inf", "infinity", "-infinity"),
    )
)
"""What stands for a missing value among numbers and dates, in lower case."""

_PLAIN_CHARACTERS = frozenset("0123456789+-.eE")
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?(\d+,?\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = {
    "point": re.compile(r"[+-]?\d{1,3}([,' \u00a0\u202f’])\d{3}(\1\d{3})*(\.\d*)?", re.ASCII),
    "comma": re.compile(r"[+-]?\d{1,3}([.' \u00a0\u202f’])\d{3}(\1\d{3})*(,\d*)?", re.ASCII),
}
_GROUPING = re.compile(r"[' \u00a0\u202f’]")
_UNITS = re.compile(r"^[$€£¥]\s?|\s?[%$€£¥]$")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
"""Thousands, or three decimals."""


def number_style(texts: Sequence[str], *, comma_decimals: bool) -> NumberStyle:
    """Which mark stands before the decimals in most of these texts.

    Args:
        texts: Of one column.
        comma_decimals: What a comma means where all of them could be either.
    """
    if not any("," in text for text in texts):
        return "point"
    votes = {
        style: sum(_value(text, style) is not None for text in texts if not _EITHER.fullmatch(text))
        for style in ("point", "comma")
    }
    if votes["comma"] == votes["point"]:
        return "comma" if comma_decimals else "point"
    return "comma" if votes["comma"] > votes["point"] else "point"


def parse_numbers(texts: Sequence[str], style: NumberStyle) -> NDArray[np.float64]:
    """The number that each text is, NaN for other texts; float64 ``[len(texts)]``.

    Signs of currencies and percents are passed over.
    """
    if style == "point" and _PLAIN_CHARACTERS.issuperset("".join(texts)):
        # Nearly all columns of numbers; NumPy reads them as Python does, many times faster.
        with contextlib.suppress(ValueError):
            plain = np.array(texts, dtype=str).astype(np.float64)
            return np.where(np.isfinite(plain), plain, np.nan)
    values = (_value(text, style) for text in texts)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _value(text: str, style: NumberStyle) -> float | None:
    if style == "point" and _PLAIN.fullmatch(text):
        return _finite(text)
    bare = _UNITS.sub("", text.replace("−", "-"))
    if _THOUSANDS[style].fullmatch(bare):
        bare = _GROUPING.sub("", bare).replace("," if style == "point" else ".", "")
    if style == "comma":
        return _finite(bare.replace(",", ".")) if _COMMA.fullmatch(bare) else None
    return _finite(bare) if _PLAIN.fullmatch(bare) else None


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None

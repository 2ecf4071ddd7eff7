"""Scores of a study's metric in words and numbers for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenfront.studies.analysis.words.quantities import number, percent

if TYPE_CHECKING:  # what draws a front has it; what lists studies needs none
    from greenfront.objectives.metrics import Metric

__all__ = ["amount", "change", "difference", "score", "score_in_unit"]

EQUAL_POINTS = 0.005
EQUAL_SHARE = 5e-5
"""Scores that differ by less, in percent or as a share of what a drop counts in, are equal."""


def score(metric: Metric, value: float) -> str:
    """A score in three digits; its unit stands in the heading of its column."""
    return percent(value) if metric.in_percent else number(value)


def score_in_unit(metric: Metric, value: float) -> str:
    """A score where nothing else says what it counts in."""
    return f"{score(metric, value)} {metric.unit}".rstrip()


def amount(metric: Metric, value: float) -> str:
    """A difference of scores without its sign, such as ``"1.2 points"``."""
    if metric.in_percent:
        return f"{100 * abs(value):.2g} points"
    return score_in_unit(metric, abs(value))


def difference(metric: Metric, value: float, than: float) -> str:
    """A score beside another one, such as ``"+1.2 points of accuracy against"``."""
    title = metric.word
    change = value - than
    if metric.in_percent:
        points = 100 * change
        if abs(points) < EQUAL_POINTS:
            return "as accurate as" if metric.name == "accuracy" else f"the same {title} as"
        return f"{points:+.3g} points of {title} against".replace("-", "−")
    if abs(change) < EQUAL_SHARE * metric.unit_drop:
        return f"the same {title} as"
    better = "better" if metric.worse_by(value, than) < 0 else "worse"
    unit = f" {metric.unit}" if metric.unit else ""
    return f"{title} {change:+.3g}{unit} ({better}) against".replace("-", "−")


def change(metric: Metric, value: float, low: float | None, high: float | None) -> str:
    """A difference of scores with its interval, such as ``"−0.56 points (−2.10 to +1.01)"``."""
    percents = metric.in_percent
    shown = [
        f"{100 * one:+.2f}" if percents else f"{one:+.3g}"
        for one in (value, low, high)
        if one is not None
    ]
    told = f"{shown[0]}{' points' if percents else ''}"
    if len(shown) == 3:
        told += f" ({shown[1]} to {shown[2]})"
    return told.replace("-", "−")

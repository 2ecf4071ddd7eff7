"""Scores from stored readings: the same trials under the study's settings, or under others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from greenfront.objectives.outcome import Outcome, Repeat
from greenfront.objectives.scores import Scoring
from greenfront.studies.store.repeats import settled
from greenfront.studies.store.trials import TrialRow

__all__ = ["rescored"]


def rescored(
    rows: Sequence[TrialRow], scoring: Scoring, repeats: Mapping[str, Sequence[Repeat]]
) -> list[TrialRow]:
    """The trials with the values that ``scoring`` gives their medians.

    Args:
        rows: Trials of a study of networks; what has no values passes as it is.
        scoring: The study's, or another.
        repeats: Further measurements, by candidate.
    """
    return [_rescored(row, scoring, repeats.get(row.key, ())) for row in rows]


def _rescored(row: TrialRow, scoring: Scoring, repeats: Sequence[Repeat]) -> TrialRow:
    if row.values is None or row.detail is None:
        return row
    outcome = settled(Outcome.from_json(row.detail), repeats)
    values = scoring.values(outcome)
    if values is None:
        return row
    return replace(row, values=values, detail=outcome.to_json() if repeats else row.detail)

"""Scores from stored readings: the same trials under the study's settings, or under others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from greenfront.objectives.outcome import Repeat
from greenfront.objectives.scores import Scoring
from greenfront.studies.analysis.medians import settled
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["rescored"]


def rescored(
    trials: Sequence[NetworkTrial], scoring: Scoring, repeats: Mapping[str, Sequence[Repeat]]
) -> list[NetworkTrial]:
    """The trials with the values that ``scoring`` gives their medians.

    Args:
        trials: Of a study of networks; what has no values passes as it is.
        scoring: The study's, or another.
        repeats: Further measurements, by candidate.
    """
    return [_rescored(trial, scoring, repeats.get(trial.key, ())) for trial in trials]


def _rescored(trial: NetworkTrial, scoring: Scoring, repeats: Sequence[Repeat]) -> NetworkTrial:
    if trial.values is None or trial.outcome is None:
        return trial
    outcome = settled(trial.outcome, repeats)
    values = scoring.values(outcome)
    return trial if values is None else replace(trial, values=values, outcome=outcome)

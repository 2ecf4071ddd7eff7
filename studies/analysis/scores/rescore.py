"""Scores from stored readings: the same trials under the study's settings, or under others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from greenfront.objectives.outcome import Repeat
from greenfront.objectives.scores import Scoring
from greenfront.studies.analysis.scores.medians import Measurements
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["rescored"]


def rescored(
    trials: Sequence[NetworkTrial], scoring: Scoring, repeats: Mapping[str, Sequence[Repeat]]
) -> list[NetworkTrial]:
    """The trials with the values that ``scoring`` gives their medians.

    Trials whose files execute one graph share all measurements of it.

    Args:
        trials: Of a study of networks; what has no values passes as it is.
        scoring: The study's, or another.
        repeats: Further measurements, by candidate.
    """
    known = Measurements.of(trials, repeats)
    scatter = known.scatter()

    def rescore(trial: NetworkTrial) -> NetworkTrial:
        if trial.values is None or trial.outcome is None:
            return trial
        outcome = known.settled(trial, repeats.get(trial.key, ()), scatter)
        values = scoring.values(outcome)
        return trial if values is None else replace(trial, values=values, outcome=outcome)

    return [rescore(trial) for trial in trials]

"""Scores from stored readings: the same trials under the study's settings, or under others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from greenfront.objectives.outcome import Repeat
from greenfront.objectives.scores import Scoring
from greenfront.studies.analysis.scores.cross_validated import on_folds
from greenfront.studies.analysis.scores.medians import Measurements
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["rescored"]


def rescored(
    trials: Sequence[NetworkTrial], scoring: Scoring, repeats: Mapping[str, Sequence[Repeat]]
) -> list[NetworkTrial]:
    """The trials with the values that ``scoring`` gives their medians, on one scale of scores.

    Trials whose files execute one graph share all measurements of it; where some trials were
    cross-validated, see :func:`~greenfront.studies.analysis.scores.cross_validated.on_folds`.

    Args:
        trials: Of a study of networks; what has no values passes as it is.
        scoring: The study's, or another.
        repeats: Further measurements, by candidate.
    """
    known = Measurements.of(trials, repeats)
    scatter = known.scatter()
    outcomes = on_folds(
        {
            trial.number: known.settled(trial, repeats.get(trial.key, ()), scatter)
            for trial in trials
            if trial.values is not None and trial.outcome is not None
        }
    )

    def rescore(trial: NetworkTrial) -> NetworkTrial:
        outcome = outcomes.get(trial.number)
        values = None if outcome is None else scoring.values(outcome)
        return trial if values is None else replace(trial, values=values, outcome=outcome)

    return [rescore(trial) for trial in trials]

"""Scores from stored readings: the same trials under the study's settings, or under others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.outcome import Outcome, Repeat
from greenfront.objectives.scores import values_of
from greenfront.studies.store.repeats import settled
from greenfront.studies.store.trials import TrialRow

__all__ = ["Scoring", "rescored"]


@dataclass(frozen=True, slots=True)
class Scoring:
    """All that turns readings into objectives.

    Attributes:
        predictions: How often the model will be used.
        carbon: Where the energy comes from.
    """

    predictions: float
    carbon: CarbonModel

    def values(self, outcome: Outcome) -> tuple[float, float, float] | None:
        """Accuracy, kWh and kg of CO₂; ``None`` where energy was not metered."""
        return values_of(outcome, self.predictions, self.carbon)


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

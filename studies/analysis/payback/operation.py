"""What a model takes in a year of work: electricity, carbon and money."""

from __future__ import annotations

from dataclasses import dataclass

from greenfront.objectives.outcome import Outcome
from greenfront.objectives.scores import Scoring
from greenfront.studies.config.sections import OperationSection

__all__ = ["Year", "a_year"]


@dataclass(frozen=True, slots=True)
class Year:
    """A year of predictions, without the making of the model.

    Attributes:
        predictions: In the year.
        kwh: Of the machine, preprocessing included; ``None`` where no instrument could tell.
        low_kwh: Lower end of its plausible range.
        high_kwh: Upper end.
        co2_kg: With the building's overhead, and the embodied share where the study has one.
        euro: Of the machine's electricity and the building's overhead.
    """

    predictions: float
    kwh: float | None
    low_kwh: float | None
    high_kwh: float | None
    co2_kg: float | None
    euro: float | None


def a_year(outcome: Outcome, scoring: Scoring, operation: OperationSection) -> Year:
    """A year of a model's work.

    Args:
        outcome: What was measured of the model.
        scoring: How often it will be used in its life, and where its electricity comes from.
        operation: How long that life is, and what electricity costs.
    """
    predictions, answer, carbon = (
        scoring.predictions / operation.years,
        outcome.answer,
        scoring.carbon,
    )
    if answer.kwh is None:
        return Year(predictions, None, None, None, None, None)
    kwh = predictions * answer.kwh
    co2_kg = carbon.co2_kg(kwh, predictions * carbon.busy_hours("cpu", answer))
    ends = (answer.low_joules, answer.high_joules)
    low, high = (
        (None if end is None else kwh * (end / answer.joules) for end in ends)
        if answer.joules
        else (kwh, kwh)
    )
    return Year(predictions, kwh, low, high, co2_kg, kwh * carbon.pue * operation.euro_per_kwh)

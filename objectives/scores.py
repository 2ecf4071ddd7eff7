"""Objectives and scores: pure functions of stored readings.

Accuracy is a share from 0 to 1 unless percent is named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.outcome import Outcome, Sizing
from greenfront.objectives.readings import JOULES_PER_KWH, Reading

__all__ = [
    "OBJECTIVES",
    "Floor",
    "Scoring",
    "Tolerance",
    "break_even_predictions",
    "co2_kg",
    "energy_kwh",
    "green_score",
    "least_energy_kwh",
    "values_of",
]

OBJECTIVES = ("accuracy", "energy_kwh", "co2_kg")
"""What a study optimises: the first is maximised, the others are minimised."""

ROUNDING = 1e-9
"""0.97 − 0.01 is a little more than 0.96: what is a drop of 0.01 must not depend on that."""


def energy_kwh(outcome: Outcome, predictions: float) -> float | None:
    """Energy of training the model and of its predictions, in kWh; ``None`` if unmetered.

    Predictions count with their preprocessing.
    """
    return _energy_kwh(outcome.training, outcome.answer, predictions)


def _energy_kwh(training: Reading, answer: Reading, predictions: float) -> float | None:
    if training.kwh is None or answer.kwh is None:
        return None
    return training.kwh + predictions * answer.kwh


def least_energy_kwh(sizing: Sizing, predictions: float) -> float | None:
    """A lower bound of :func:`energy_kwh` before any training; ``None`` if unmetered.

    Counts the predictions as measured on the untrained graph, and nothing for the training.
    """
    joules = sizing.inference.joules
    return None if joules is None else predictions * joules / JOULES_PER_KWH


def co2_kg(outcome: Outcome, predictions: float, carbon: CarbonModel) -> float | None:
    """CO₂ equivalent of the same energy and of the time behind it (SCI, ISO/IEC 21031:2024).

    Predictions are metered on the CPU, so only training uses up a GPU.

    Training and predictions each at their own intensity, which is never that of the moment at which
    the trial happened to run.
    """
    return _co2_kg(outcome.training, outcome.answer, predictions, carbon)


def _co2_kg(
    training: Reading, answer: Reading, predictions: float, carbon: CarbonModel
) -> float | None:
    if training.kwh is None or answer.kwh is None:
        return None
    used = carbon.busy_hours("cpu", training) + carbon.busy_hours("gpu", training)
    trained = carbon.training_co2_kg(training.kwh, used)
    hours = predictions * carbon.busy_hours("cpu", answer)
    return trained + carbon.co2_kg(predictions * answer.kwh, hours)


def values_of(
    outcome: Outcome, predictions: float, carbon: CarbonModel
) -> tuple[float, float, float] | None:
    """The values of :data:`OBJECTIVES`; ``None`` where energy was not metered."""
    training, answer = outcome.training, outcome.answer
    energy = _energy_kwh(training, answer, predictions)
    co2 = _co2_kg(training, answer, predictions, carbon)
    return None if energy is None or co2 is None else (outcome.accuracy, energy, co2)


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


def green_score(accuracy: float, co2: float) -> float:
    """Accuracy in percent per kg of CO₂; higher is better, infinite for none emitted.

    Rank by it only above a :class:`Floor`: it prefers a model that has learnt nothing at no cost.
    """
    return 100 * accuracy / co2 if co2 > 0 else math.inf


def break_even_predictions(
    spent_kwh: float, inference_kwh: float, baseline_inference_kwh: float
) -> float | None:
    """After how many predictions a search has paid for itself; ``None`` if it never does.

    Args:
        spent_kwh: What the search has cost in all.
        inference_kwh: One prediction of the chosen model.
        baseline_inference_kwh: One prediction of the model it replaces.
    """
    saving = baseline_inference_kwh - inference_kwh
    return spent_kwh / saving if saving > 0 else None


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much less accurate than the best model one may be. One of the two is set.

    Attributes:
        max_drop: As a difference of accuracies: 0.01 is one point.
        share: Of the best accuracy that must be kept, 0 to 1; the rule of older studies.
    """

    max_drop: float | None = None
    share: float | None = None

    def least(self, best_accuracy: float) -> float:
        """The lowest accuracy that is enough."""
        if self.max_drop is not None:
            return best_accuracy - self.max_drop
        return (self.share or 0.0) * best_accuracy


@dataclass(frozen=True, slots=True)
class Floor:
    """Least accuracy of models that are ranked by cost.

    Attributes:
        tolerance: How it follows from the best accuracy.
        best_accuracy: Best accuracy in the study.
        majority_fraction: Accuracy of always answering the most frequent class.
    """

    tolerance: Tolerance
    best_accuracy: float
    majority_fraction: float

    @property
    def accuracy(self) -> float:
        """The lowest accuracy that is enough."""
        return self.tolerance.least(self.best_accuracy)

    def objection(self, accuracy: float) -> str | None:
        """Why a model is not eligible; ``None`` if it is."""
        if accuracy <= self.majority_fraction:
            return (
                f"no better than always answering the most frequent class "
                f"({self.majority_fraction:.1%})"
            )
        if accuracy >= self.accuracy - ROUNDING:
            return None
        allowed = self.tolerance.max_drop
        if allowed is None:
            return f"below the floor of {self.accuracy:.1%}"
        return (
            f"{100 * (self.best_accuracy - accuracy):.3g} points below the most accurate model, "
            f"of {100 * allowed:.3g} allowed"
        )

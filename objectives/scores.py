"""Objectives and scores: pure functions of stored readings.

Accuracy is a share from 0 to 1 unless percent is named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from greenfront.errors import UsageError
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome, Sizing
from greenfront.objectives.readings import JOULES_PER_KWH, Reading

__all__ = [
    "Floor",
    "Scoring",
    "Tolerance",
    "Weights",
    "break_even_predictions",
    "energy_to_score_ratio",
    "green_score",
    "maximised",
    "objective_names",
    "predictions_co2_kg",
    "training_co2_kg",
    "weighted_loss",
]

COSTS = ("energy_kwh", "co2_kg")
"""What a study minimises beside its metric, see :func:`objective_names`."""

ROUNDING = 1e-9
"""0.97 − 0.01 is a little more than 0.96: what is a drop of 0.01 must not depend on that."""


def objective_names(metric: Metric) -> tuple[str, ...]:
    """What a study optimises: its metric first, then what is minimised."""
    return (metric.name, *COSTS)


def maximised(metric: Metric) -> tuple[bool, ...]:
    """For each of :func:`objective_names`, whether more is better."""
    return (metric.maximise, *(False for _ in COSTS))


def training_co2_kg(training: Reading, carbon: CarbonModel) -> float | None:
    """CO₂ equivalent of making a model, in kg; ``None`` if unmetered."""
    if training.kwh is None:
        return None
    used = carbon.busy_hours("cpu", training) + carbon.busy_hours("gpu", training)
    return carbon.training_co2_kg(training.kwh, used)


def predictions_co2_kg(answer: Reading, predictions: float, carbon: CarbonModel) -> float | None:
    """CO₂ equivalent of predictions, in kg, by the reading of one; ``None`` if unmetered."""
    if answer.kwh is None:
        return None
    hours = predictions * carbon.busy_hours("cpu", answer)
    return carbon.co2_kg(predictions * answer.kwh, hours)


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
        """The values of :func:`objective_names`; ``None`` where energy was not metered."""
        costs = self.costs(outcome.training, outcome.answer)
        return None if costs is None else (outcome.score, *costs)

    def costs(self, training: Reading, answer: Reading) -> tuple[float, float] | None:
        """Energy (kWh) and CO₂ equivalent (kg) of making a model and of its predictions.

        The CO₂ is that of the same energy and of the time behind it (SCI, ISO/IEC 21031:2024), of
        training and of predictions each at their own intensity, which is never that of the moment
        at which the trial happened to run.

        Args:
            training: Of making the model.
            answer: Of one prediction, with its preprocessing if that counts. Predictions are
                metered on the CPU, so only training uses up a GPU.

        Returns:
            ``None`` where one of them was not metered.
        """
        made = training_co2_kg(training, self.carbon)
        answered = self.predictions_costs(answer)
        if training.kwh is None or made is None or answered is None:
            return None
        kwh, co2 = answered
        return training.kwh + kwh, made + co2

    def predictions_costs(self, answer: Reading) -> tuple[float, float] | None:
        """Energy (kWh) and CO₂ equivalent (kg) of predictions alone; ``None`` if unmetered."""
        co2 = predictions_co2_kg(answer, self.predictions, self.carbon)
        return None if answer.kwh is None or co2 is None else (self.predictions * answer.kwh, co2)

    def least_energy_kwh(self, sizing: Sizing) -> float | None:
        """A lower bound of the energy in :meth:`values`, in kWh; ``None`` if unmetered.

        Counts the predictions as measured on the untrained graph, and nothing for the training.
        """
        joules = sizing.inference.joules
        return None if joules is None else self.predictions * joules / JOULES_PER_KWH


def green_score(percent: float, co2: float) -> float:
    """A metric in percent per kg of CO₂; higher is better, infinite for none emitted.

    Args:
        percent: See :meth:`~greenfront.objectives.metrics.Metric.percent`.
        co2: In kg.

    Rank by it only above a :class:`Floor`: it prefers a model that has learnt nothing at no cost.
    """
    return percent / co2 if co2 > 0 else math.inf


def energy_to_score_ratio(percent: float, energy: float) -> float:
    """KWh for each percent of a metric; lower is better, infinite for a model at 0 percent.

    Args:
        percent: See :meth:`~greenfront.objectives.metrics.Metric.percent`.
        energy: In kWh.
    """
    return energy / percent if percent > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Weights:
    """What :func:`weighted_loss` makes of loss, energy and carbon; finite, 0 or more, one above 0.

    Attributes:
        alpha: Of the loss.
        beta: Of the energy.
        gamma: Of the CO₂.

    Raises:
        UsageError: They break that rule.
    """

    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 1.0

    def __post_init__(self) -> None:
        given = (self.alpha, self.beta, self.gamma)
        if not all(math.isfinite(one) and one >= 0 for one in given) or not any(given):
            raise UsageError(
                f"weights: must be three finite numbers of 0 or more, one of them above 0, got "
                f"{', '.join(f'{one:g}' for one in given)}; 1,1,1 weighs all alike"
            )


def weighted_loss(
    values: tuple[float, float, float],
    baseline: tuple[float, float, float],
    weights: Weights,
    metric: Metric,
) -> float:
    """``α·L + β·E + γ·C``, each as a share of the baseline's; lower is better.

    The loss ``L`` is by how much a score is worse than a perfect one. A share of nothing is 0 where
    the model has nothing either, and else infinite.

    Args:
        values: Score, kWh and kg of CO₂.
        baseline: The same of the untouched baseline, which scores ``α + β + γ``.
        weights: α, β and γ.
        metric: Of the score.
    """
    mine, usual = _losses(values, metric), _losses(baseline, metric)
    factors = (weights.alpha, weights.beta, weights.gamma)
    parts = zip(factors, mine, usual, strict=True)
    return sum(factor * _share(own, other) for factor, own, other in parts if factor)


def _losses(values: tuple[float, float, float], metric: Metric) -> tuple[float, float, float]:
    score, energy, co2 = values
    return metric.worse_by(score, metric.perfect), energy, co2


def _share(mine: float, usual: float) -> float:
    if usual == 0:
        return 0.0 if mine == 0 else math.inf
    return mine / usual


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
    """How much worse than the best model one may be. One of the two is set.

    Attributes:
        max_drop: As a difference of scores: 0.01 is one point of accuracy. Of errors, as a share of
            the error of a model that has learnt nothing.
        share: Of the best score that must be kept, 0 to 1; the rule of older studies. Errors may be
            larger by as much.
    """

    max_drop: float | None = None
    share: float | None = None

    def limit(self, best: float, metric: Metric) -> float:
        """The worst score that is enough."""
        if self.max_drop is not None:
            drop = self.max_drop * metric.unit_drop
            return best - drop if metric.maximise else best + drop
        share = self.share or 0.0
        if metric.maximise:
            return share * best
        return best / share if share else math.inf


@dataclass(frozen=True, slots=True)
class Floor:
    """The worst score of models that are ranked by cost.

    Attributes:
        tolerance: How it follows from the best score.
        best: Best score in the study of a model that answers by itself.
        metric: Of the study.
    """

    tolerance: Tolerance
    best: float
    metric: Metric

    @property
    def limit(self) -> float:
        """The worst score that is enough."""
        return self.tolerance.limit(self.best, self.metric)

    def objection(self, score: float) -> str | None:
        """Why a model is not eligible; ``None`` if it is."""
        metric = self.metric
        if not metric.has_learnt(score):
            if metric.name == "accuracy":
                return (
                    f"no better than always answering the most frequent class "
                    f"({metric.nothing:.1%})"
                )
            return (
                "no better than a model that has learnt nothing "
                f"({metric.title} {metric.text(metric.nothing)})"
            )
        if metric.worse_by(score, self.limit) <= ROUNDING * metric.unit_drop:
            return None
        allowed = self.tolerance.max_drop
        if allowed is None:
            side = "below" if metric.maximise else "above"
            return f"{side} the floor of {metric.text(self.limit)}"
        worse = metric.worse_by(score, self.best)
        if metric.in_percent:
            return (
                f"{100 * worse:.3g} points below the most accurate single model, "
                f"of {100 * allowed:.3g} allowed"
            )
        return (
            f"{metric.title} is worse by {worse:.3g} than that of the most accurate single model, "
            f"of {allowed * metric.unit_drop:.3g} allowed"
        )

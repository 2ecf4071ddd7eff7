"""What models should reach by ``[targets]``, and how far one is from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.scores import Tolerance
from greenfront.studies.analysis.words.quantities import energy, number, seconds, size
from greenfront.studies.config.sections import TargetsSection

__all__ = ["Goal", "excess_words", "goal_of"]


@dataclass(frozen=True, slots=True)
class Goal:
    """The targets of a study in absolute numbers.

    Attributes:
        metric: What models are judged by.
        least: The worst score that is accurate enough.
        limits: Highest energy in kWh (training and predictions), latency in seconds and size in
            bytes, of those that are targets; by the names ``energy``, ``latency``, ``size``.
    """

    metric: Metric
    least: float
    limits: Mapping[str, float] = field(default_factory=dict)

    def is_accurate(self, score: float) -> bool:
        """Whether a score is accurate enough."""
        return score >= self.least if self.metric.maximise else score <= self.least

    def excesses(self, energy_kwh: float, outcome: Outcome) -> dict[str, float]:
        """By how many times a model is over each limit that it misses; the worst first."""
        costs = {
            "energy": energy_kwh,
            "latency": outcome.latency_seconds,
            "size": outcome.artefact_bytes,
        }
        found = {
            name: costs[name] / limit for name, limit in self.limits.items() if costs[name] > limit
        }
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def met_by(self, score: float, energy_kwh: float, outcome: Outcome) -> bool:
        """Whether a model reaches all targets."""
        return self.is_accurate(score) and not self.excesses(energy_kwh, outcome)

    @property
    def told(self) -> str:
        """The targets in words."""
        shown = {"energy": energy, "latency": seconds, "size": size}
        at = "at least" if self.metric.maximise else "at most"
        limits = [f"{name} at most {shown[name](v)}" for name, v in self.limits.items()]
        return ", ".join([f"{self.metric.word} {at} {self.metric.text(self.least)}", *limits])


def goal_of(
    targets: TargetsSection,
    tolerance: Tolerance,
    metric: Metric,
    best_score: float,
    baseline_kwh: float | None,
) -> Goal | None:
    """The targets in absolute numbers.

    Args:
        targets: As the study file says them.
        tolerance: Of the study; counts where no drop is among the targets.
        metric: What models are judged by.
        best_score: Of all complete trials.
        baseline_kwh: Energy of the most accurate untouched baseline.

    Returns:
        ``None`` without targets, or as long as one needs a baseline that has not finished.
    """
    if not targets.are_set or (targets.energy_reduction is not None and baseline_kwh is None):
        return None
    if targets.accuracy_drop is not None:
        tolerance = Tolerance(targets.accuracy_drop)
    limits: dict[str, float] = {}
    if targets.energy_reduction is not None and baseline_kwh is not None:
        limits["energy"] = (1 - targets.energy_reduction) * baseline_kwh
    if targets.latency_seconds is not None:
        limits["latency"] = targets.latency_seconds
    if targets.size_bytes is not None:
        limits["size"] = targets.size_bytes
    return Goal(metric, tolerance.limit(best_score, metric), limits)


def excess_words(excesses: Mapping[str, float]) -> str:
    """Such as ``energy 1.8 times and size 3 times the target``."""
    parts = [f"{name} {number(factor)} times" for name, factor in excesses.items()]
    return " and ".join(parts) + " the target"

"""What a study says of a model's cost while it is measured: is it worth going on?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome, Sizing, Standing
from greenfront.objectives.pareto import non_dominated
from greenfront.objectives.scores import Scoring, maximised
from greenfront.studies.analysis.ranking.volume import minimised
from greenfront.studies.analysis.words import quantities
from greenfront.studies.config.sections import LimitsSection

__all__ = ["Dominated", "Judge", "LimitedCost", "limited_costs"]

SIZING_MARGIN = 0.9
"""Factor on a sizing's energy, a short measurement: only clearly dominated trials are stopped."""

Dominated = Callable[[Sequence[float]], str | None]
"""Why values would not be on the front of what is finished; ``None`` if they may be."""


class Judge:
    """Counts models as one study does, and holds them to its limits and to what is finished.

    Args:
        metric: Of the study.
        limits: ``[limits]``.
        scoring: Makes objectives of readings.
        preprocessing: Whether making a model's input counts.
    """

    def __init__(
        self,
        metric: Metric,
        limits: LimitsSection,
        scoring: Scoring,
        *,
        preprocessing: bool,
    ) -> None:
        self._metric = metric
        self._limits = limits
        self._scoring = scoring
        self._preprocessing = preprocessing
        self._siblings: defaultdict[str, list[Outcome]] = defaultdict(list)

    def keep(self, outcome: Outcome) -> None:
        """Remembers a finished model, for those that execute the same graph."""
        if outcome.graph is not None:
            self._siblings[outcome.graph].append(outcome)

    def counted(self, outcome: Outcome) -> tuple[Outcome, tuple[float, float, float] | None]:
        """An outcome as this study counts it, and its values; ``None`` where one is unmetered."""
        if not self._preprocessing:
            outcome = replace(outcome, preprocessing=None)
        return outcome, self._scoring.values(outcome)

    def objection(self, sizing: Sizing, dominated: Dominated) -> str | None:
        """Why no accuracy could make a candidate of this size worth its training."""
        over = self.over_limit(sizing)
        if over is not None:
            return over
        least = self.least_kwh(sizing)
        if least is None:
            return None
        return dominated((self._metric.perfect, least, self._scoring.carbon.co2_kg(least)))

    def least_kwh(self, sizing: Sizing) -> float | None:
        """Energy of all predictions, at least; ``None`` where it is unmetered."""
        energy = self._scoring.least_energy_kwh(sizing)
        return None if energy is None else SIZING_MARGIN * energy

    def standing(self, cheap: Outcome, dear: Outcome, dominated: Dominated) -> Standing:
        """Where a model stands; against those that share its graph, whatever that costs.

        Args:
            cheap: The model, as cheap as its measurements allow.
            dear: The same, as dear as they allow.
            dominated: Asks the front.
        """
        if self.over_limit(cheap) is not None:
            return "out"
        (cheap, least), (_, most) = self.counted(cheap), self.counted(dear)
        if least is None or most is None or dominated(least) is not None:
            return "out"
        for sibling in self._siblings.get(cheap.graph or "", ()):
            _, values = self.counted(replace(sibling, inference=cheap.inference))
            if values is not None:
                both = minimised([values, least], maximised(self._metric))
                if not non_dominated(both)[1]:
                    return "out"
        if self.over_limit(dear) is not None or dominated(most) is not None:
            return "open"
        return "in"

    def over_limit(self, measured: Sizing | Outcome) -> str | None:
        """Which of ``[limits]`` a model exceeds, as sized or as delivered."""
        for cost in limited_costs(self._limits, measured):
            if cost.value is not None and cost.limit is not None and cost.value > cost.limit:
                limit = f"{cost.text(cost.limit)} of [limits] {cost.name}"
                return f"{cost.text(cost.value)} is over the {limit}"
        return None


@dataclass(frozen=True, slots=True)
class LimitedCost:
    """A cost that ``[limits]`` can bound.

    Attributes:
        name: Its key in the study file, which ends in its unit.
        value: Of a model; ``None``: unavailable.
        limit: ``None``: there is none.
        text: Makes words of such a cost.
    """

    name: str
    value: float | None
    limit: float | None
    text: Callable[[float | None], str]


def limited_costs(limits: LimitsSection, measured: Sizing | Outcome) -> list[LimitedCost]:
    """Each cost that ``[limits]`` can bound."""
    joules, latency = measured.inference.joules, measured.latency_seconds
    return [
        LimitedCost("inference_joules", joules, limits.inference_joules, quantities.joules),
        LimitedCost("latency_seconds", latency, limits.latency_seconds, quantities.seconds),
        LimitedCost(
            "artefact_bytes", measured.artefact_bytes, limits.artefact_bytes, quantities.size
        ),
    ]

"""Whether, and after how many predictions, a search has paid for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from greenfront.objectives.scores import break_even_predictions
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.store.ledger import Spent

__all__ = ["BreakEven", "Verdict", "break_even"]

Verdict = Literal[
    "paid back",
    "never",
    "spending unknown",
    "inference unknown",
    "no eligible model",
    "no baseline",
    "best is baseline",
]


@dataclass(frozen=True, slots=True)
class BreakEven:
    """When the greenest model has saved, against the baseline, what the search has spent.

    Attributes:
        verdict: ``"paid back"`` after ``predictions``; otherwise why there is no such number.
        predictions: Of the greenest model; ``None`` for every other verdict.
    """

    verdict: Verdict
    predictions: float | None = None

    def within(self, made_for: float) -> bool | None:
        """Whether so many predictions pay for the search.

        Args:
            made_for: Predictions that the model is made for.

        Returns:
            ``None`` where readings are missing, or no other model is there to compare.
        """
        if self.predictions is not None:
            return self.predictions <= made_for
        return False if self.verdict == "never" else None

    def to_json(self, made_for: float) -> dict[str, Any]:
        """What commands with ``--json`` say of it.

        Args:
            made_for: Predictions that the model is made for.
        """
        return {
            "break_even_predictions": self.predictions,
            "break_even_verdict": self.verdict,
            "pays_for_itself": self.within(made_for),
        }


def break_even(best: ScoredTrial | None, baseline: ScoredTrial | None, spent: Spent) -> BreakEven:
    """Compares the greenest model with the untouched baseline.

    Args:
        best: The greenest model that is accurate enough.
        baseline: What would have been used without the search.
        spent: By the whole search.
    """
    if best is None:
        return BreakEven("no eligible model")
    if baseline is None:
        return BreakEven("no baseline")
    if best.trial == baseline.trial:
        return BreakEven("best is baseline")
    if spent.unknown:
        return BreakEven("spending unknown")
    chosen, usual = best.outcome.answer.kwh, baseline.outcome.answer.kwh
    if chosen is None or usual is None:
        return BreakEven("inference unknown")
    after = break_even_predictions(spent.kwh, chosen, usual)
    return BreakEven("never") if after is None else BreakEven("paid back", after)

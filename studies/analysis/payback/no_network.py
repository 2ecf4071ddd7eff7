"""Whether a study needed a network at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenfront.objectives.metrics import Metric
from greenfront.studies.analysis.ranking.front import ScoredTrial

__all__ = ["NoNetwork", "no_network_needed"]


@dataclass(frozen=True, slots=True)
class NoNetwork:
    """A fitted model that does the job of every network that was tried, for less.

    Attributes:
        model: The one of least energy that is accurate enough.
        most_accurate: Of the networks.
        leanest: Of the networks that are accurate enough, the one of least energy; ``None`` where
            none is.
    """

    model: ScoredTrial
    most_accurate: ScoredTrial
    leanest: ScoredTrial | None


def no_network_needed(complete: Sequence[ScoredTrial], metric: Metric) -> NoNetwork | None:
    """The proof that there is a model that is accurate enough and leaner than any network that is.

    Args:
        complete: Every complete trial of a study with its scores.
        metric: What they are judged by.

    Returns:
        ``None`` where a network is needed, and where none or nothing else has finished.
    """
    networks = [row for row in complete if row.candidate.needs_network]
    fitted = [row for row in complete if not row.candidate.needs_network]
    model, leanest = _leanest(fitted), _leanest(networks)
    if model is None or not networks:
        return None
    if leanest is not None and leanest.energy_kwh <= model.energy_kwh:
        return None
    best = max(networks, key=lambda row: (metric.gain(row.score), -row.energy_kwh))
    return NoNetwork(model, best, leanest)


def _leanest(rows: Sequence[ScoredTrial]) -> ScoredTrial | None:
    eligible = [row for row in rows if row.eligible]
    return min(eligible, key=lambda row: row.energy_kwh, default=None)

"""Which model to take: three of a front have names, and each is told beside the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from greenfront.studies.analysis.words.metric_words import amount, difference
from greenfront.studies.analysis.words.quantities import chance, joules, number, percent

if TYPE_CHECKING:  # what draws a front has it; what lists studies needs none
    from greenfront.objectives.metrics import Metric
    from greenfront.objectives.scores import Tolerance
    from greenfront.studies.analysis.ranking.front import Front, ScoredTrial

__all__ = [
    "Choice",
    "allowed",
    "beats",
    "choices",
    "comparison",
    "prediction_sentence",
    "warnings",
]

LIKELY, COIN = 0.8, 0.6
"""A model that is accurate enough in fewer resamples may owe it to the examples at hand."""

SURE = 0.95


@dataclass(frozen=True, slots=True)
class Choice:
    """A model that has one name or more.

    Attributes:
        names: Such as ``("greenest", "knee")``.
        row: The model.
    """

    names: tuple[str, ...]
    row: ScoredTrial

    @property
    def title(self) -> str:
        """Its names as they begin a sentence, such as ``"Greenest and knee"``."""
        return " and ".join(self.names).capitalize()


def choices(front: Front) -> list[Choice]:
    """The named models of a front, the greenest first; each once, with all of its names."""
    rows = {row.trial: row for row in front.rows}
    named: dict[int, list[str]] = {}
    for name, row in front.named.items():
        if row is not None:
            named.setdefault(row.trial, []).append(name)
    return [Choice(tuple(names), rows[trial]) for trial, names in named.items()]


def beats(row: ScoredTrial, baseline: ScoredTrial, metric: Metric) -> bool:
    """Whether a model is better than the baseline in any objective, by more than luck.

    Where a study was measured more than once, it has to be so in :data:`SURE` of the draws of
    :func:`~greenfront.studies.analysis.ranking.membership.with_membership`.
    """
    if row.beats_baseline is not None:
        return row.beats_baseline >= SURE
    return (
        metric.worse_by(row.score, baseline.score) < 0
        or row.energy_kwh < baseline.energy_kwh
        or row.co2_kg < baseline.co2_kg
    )


def warnings(front: Front, *, beaten: bool) -> list[str]:
    """Sentences on what is not sure of the greenest model; none where all is.

    Args:
        front: The front.
        beaten: Whether the greenest model beats the baseline somewhere.
    """
    greenest = front.greenest
    if greenest is None:
        return []
    told = []
    sure = greenest.within_drop
    if sure is not None and sure < LIKELY:
        safer = next((r for r in front.rows if r.eligible and (r.within_drop or 0) >= LIKELY), None)
        instead = (
            "" if safer is None else f"; trial {safer.trial} is in {chance(safer.within_drop)}"
        )
        toss = ", little more than a coin toss" if sure < COIN else ""
        told.append(
            f"Trial {greenest.trial} is {allowed(front.tolerance, front.metric)} in only "
            f"{chance(sure)} of resamples of the validation examples{toss}{instead}."
        )
    if not beaten:
        told.append(
            f"Neither {front.metric.word} nor energy that trial {greenest.trial} gains on the "
            "untouched baseline is sure: measured again, it may be gone."
        )
    return told


def comparison(row: ScoredTrial, baseline: ScoredTrial, kind: str, metric: Metric) -> str:
    """A model beside the untouched baseline, as the end of a sentence.

    Args:
        row: The model.
        baseline: What would have been used without a search.
        kind: How joules were come by, in a word.
        metric: What both are judged by.
    """
    if row.trial == baseline.trial:
        return "the untouched baseline itself"
    score = f"{difference(metric, row.score, baseline.score)} the untouched baseline"
    mine, usual = row.outcome.answer.joules, baseline.outcome.answer.joules
    energy = f"{percent(mine / usual)} of" if mine is not None and usual else "an unknown share of"
    size = row.outcome.artefact_bytes / baseline.outcome.artefact_bytes
    return (
        f"{score} (trial {baseline.trial}) at {energy} its energy a prediction ({kind}) and "
        f"{percent(size)} of its size"
    )


def prediction_sentence(row: ScoredTrial, kind: str) -> str:
    """What one prediction takes, in the model and before it.

    Args:
        row: The model.
        kind: How joules were come by, in a word.
    """
    outcome = row.outcome
    told = f"A prediction of trial {row.trial}: {joules(outcome.answer.joules)}"
    if outcome.preprocessing is None:
        return f"{told} ({kind}); its preprocessing was not metered."
    return (
        f"{told}, of it the model {joules(outcome.inference.joules)} and preprocessing "
        f"{joules(outcome.preprocessing.joules)} ({kind})."
    )


def allowed(tolerance: Tolerance, metric: Metric) -> str:
    """What is accurate enough, in words."""
    title = metric.word
    if tolerance.max_drop is None and metric.maximise:
        return f"at least {percent(tolerance.share)} of the best {title} in the study"
    if tolerance.max_drop is None:
        return f"at most 1/{number(tolerance.share)} of the best {title} in the study"
    if not metric.in_percent:
        drop = amount(metric, tolerance.max_drop * metric.unit_drop)
        side = "below" if metric.maximise else "above"
        return f"with {title} at most {drop} {side} that of the most accurate single model"
    points = 100 * tolerance.max_drop
    unit = "point" if points == 1 else "points"
    return f"at most {points:.3g} {unit} below the most accurate single model"

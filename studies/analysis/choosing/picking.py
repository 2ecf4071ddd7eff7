"""One model of a study by a rule and within limits, and why it and not the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from greenfront.errors import UsageError
from greenfront.objectives.scores import Weights, energy_to_score_ratio, weighted_loss
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.ranking.knee import knee_of
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.quantities import (
    count,
    counted,
    energy,
    joules,
    mass,
    number,
    seconds,
    size,
)

__all__ = ["RULES", "Limits", "Other", "Pick", "Rule", "pick"]

Rule = Literal["green", "lifetime", "ratio", "weighted", "knee"]
"""``green``: the highest Green Score. ``lifetime``: the least CO₂ of making it and of all its
predictions. ``ratio``: the least energy for each percent of the metric. ``weighted``: the least
:func:`~greenfront.objectives.scores.weighted_loss`. ``knee``: where more accuracy begins to cost
much more energy."""

RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model may take; ``None`` is no limit. How accurate is enough says the view's front.

    Attributes:
        latency_seconds: Of one prediction, at most.
        file_bytes: Of the model's file, at most.
        joules: Of one prediction with its preprocessing, at most.

    Raises:
        UsageError: One is not a finite number above 0.
    """

    latency_seconds: float | None = None
    file_bytes: float | None = None
    joules: float | None = None

    def __post_init__(self) -> None:
        for name in ("latency_seconds", "file_bytes", "joules"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name}: must be a finite number above 0, got {value:g}")

    def objection(self, row: ScoredTrial) -> str | None:
        """Which limit a model breaks, in words; ``None`` if it keeps them all.

        What is unknown keeps no limit.
        """
        outcome = row.outcome
        for told, value, limit, text in (
            ("latency", outcome.latency_seconds, self.latency_seconds, seconds),
            ("size", float(outcome.artefact_bytes), self.file_bytes, size),
            ("a prediction", outcome.answer.joules, self.joules, joules),
        ):
            if limit is None:
                continue
            if value is None:
                return f"{told}: unknown, at most {text(limit)} allowed"
            if value > limit:
                return f"{told}: {text(value)}, at most {text(limit)} allowed"
        return None


@dataclass(frozen=True, slots=True)
class Other:
    """A model that was not picked.

    Attributes:
        row: The model.
        excluded: Whether a limit keeps it out; else another was better by the rule.
        reason: The limit, or both scores.
        score: By the rule; ``None`` where it has none.
    """

    row: ScoredTrial
    excluded: bool
    reason: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Pick:
    """What a rule picks.

    Attributes:
        by: The rule.
        limits: What a model may take.
        weights: Of the rule ``weighted``.
        row: The model; ``None`` where no model keeps every limit, or a front has no knee.
        score: By the rule; ``None`` of a knee.
        reason: Why it, or why none.
        others: Every other member of the front and the baseline: first those that a limit keeps
            out, then those that were outranked, each group the best first.
    """

    by: Rule
    limits: Limits
    weights: Weights
    row: ScoredTrial | None
    score: float | None
    reason: str
    others: tuple[Other, ...]

    def to_json(self, view: StudyView) -> dict[str, Any]:
        """The object of ``greenfront pick --json``."""
        tolerance, metric = view.front.tolerance, view.metric
        return {
            "study": view.name,
            "by": self.by,
            "limits": {
                "max_drop": tolerance.max_drop,
                "floor": tolerance.share,
                "latency_seconds": self.limits.latency_seconds,
                "file_bytes": self.limits.file_bytes,
                "joules": self.limits.joules,
            },
            "weights": [self.weights.alpha, self.weights.beta, self.weights.gamma],
            "kind": view.kind,
            "trial": None if self.row is None else self.row.trial,
            "reason": self.reason,
            "score": _finite(self.score),
            "row": None if self.row is None else self.row.to_json(metric),
            "others": [
                {
                    "trial": other.row.trial,
                    "excluded": other.excluded,
                    "reason": other.reason,
                    "score": _finite(other.score),
                }
                for other in self.others
            ],
        }


def pick(
    view: StudyView,
    by: Rule = "green",
    limits: Limits | None = None,
    weights: Weights | None = None,
) -> Pick:
    """Picks one model of a study.

    Any finished trial may be picked, since latency and size are no objectives: what keeps a limit
    may lie behind the front. The knee is looked for on the front of what keeps every limit.

    Args:
        view: The study, with the drop that is allowed.
        by: The rule.
        limits: What a model may take.
        weights: Of the rule ``weighted``.

    Raises:
        UsageError: The rule needs a baseline, and none has finished.
    """
    limits, weights = limits or Limits(), weights or Weights(*view.file.objectives.weights)
    scoring = _scorer(view, by, weights)
    rows = {row.trial: row for row in (*view.complete, *view.front.rows)}
    against = {trial: row.objection or limits.objection(row) for trial, row in rows.items()}
    kept = [row for trial, row in rows.items() if against[trial] is None]
    best = _knee(view, kept) if by == "knee" else min(kept, key=_order(scoring), default=None)
    if best is None:
        reason, score = _why_none(len(rows), len(kept)), None
    else:
        score = scoring.value(best)
        reason = scoring.won.format(score=scoring.text(score), those=_those(len(kept), len(rows)))
    others = [
        _other(rows[row.trial], against[row.trial], scoring, best)
        for row in _shown(view)
        if best is None or row.trial != best.trial
    ]
    others.sort(key=lambda other: (not other.excluded, _order(scoring)(other.row)))
    shown = None if by == "knee" else score
    return Pick(by, limits, weights, best, shown, reason, tuple(others))


@dataclass(frozen=True, slots=True)
class _Scorer:
    """A rule: what it counts, which way is better, and how it is told."""

    value: Callable[[ScoredTrial], float]
    text: Callable[[float], str]
    won: str
    lost: str
    maximise: bool = False


def _scorer(view: StudyView, by: Rule, weights: Weights) -> _Scorer:
    metric, baseline = view.metric, view.baseline
    percent = {row.trial: metric.percent(row.score) for row in (*view.complete, *view.front.rows)}
    lifetime = f"making it and {view.scoring.predictions:,.0f} predictions"
    if by == "weighted" and baseline is None:
        raise UsageError(
            "--by weighted: needs the untouched baseline, by which it is normalised, and none has "
            "finished; take another rule, such as --by green"
        )
    title = metric.word
    usual = (math.nan, math.nan, math.nan) if baseline is None else baseline.values
    known: Mapping[Rule, _Scorer] = {
        "green": _Scorer(
            lambda row: row.green_score,
            count,
            "the highest Green Score, {score}, of {those}",
            "Green Score {mine} against {best}",
            maximise=True,
        ),
        "lifetime": _Scorer(
            lambda row: row.co2_kg,
            mass,
            f"the least CO₂, {{score}}, for {lifetime}, of {{those}}",
            "lifetime CO₂ {mine} against {best}",
        ),
        "ratio": _Scorer(
            lambda row: energy_to_score_ratio(percent[row.trial], row.energy_kwh),
            energy,
            f"the least energy, {{score}}, for each percent of {title}, of {{those}}",
            "energy a percent {mine} against {best}",
        ),
        "weighted": _Scorer(
            lambda row: weighted_loss(row.values, usual, weights, metric),
            number,
            f"the least weighted loss, {{score}} ({weights.alpha:g} × loss + {weights.beta:g} × "
            f"energy + {weights.gamma:g} × CO₂, each over the baseline's), of {{those}}",
            "weighted loss {mine} against {best}",
        ),
        "knee": _Scorer(
            lambda row: row.energy_kwh,
            energy,
            "where more accuracy begins to cost much more energy, among {those}",
            "not the knee: {mine} against {best}",
        ),
    }
    return known[by]


def _order(scorer: _Scorer) -> Callable[[ScoredTrial], tuple[float, float, int]]:
    """Best first; equal ones by energy, then by number."""
    sign = -1 if scorer.maximise else 1
    return lambda row: (sign * scorer.value(row), row.energy_kwh, row.trial)


def _knee(view: StudyView, kept: Sequence[ScoredTrial]) -> ScoredTrial | None:
    metric = view.metric
    learnt = [row for row in kept if metric.has_learnt(row.score)]
    gains = [metric.gain(row.score) for row in learnt]
    found = knee_of(gains, [row.energy_kwh for row in learnt])
    return None if found is None else learnt[found]


def _those(kept: int, complete: int) -> str:
    if kept == complete:
        return f"all {counted(complete, 'model')}, which keep every limit"
    return f"the {kept} of {complete} models that keep every limit"


def _why_none(complete: int, kept: int) -> str:
    if not complete:
        return "no trial has finished with a result yet"
    if not kept:
        return "no model keeps every limit: loosen one; what stands in the way stands beside each"
    return (
        f"no knee among the {kept} models that keep every limit: it takes three, and one above the "
        "line between the cheapest and the best; take another rule, such as --by green"
    )


def _shown(view: StudyView) -> list[ScoredTrial]:
    found = {row.trial: row for row in view.front.rows}
    if view.baseline is not None:
        found.setdefault(view.baseline.trial, view.baseline)
    return list(found.values())


def _other(
    row: ScoredTrial, objection: str | None, scorer: _Scorer, best: ScoredTrial | None
) -> Other:
    score = scorer.value(row)
    if objection is not None:
        return Other(row, True, objection, score)
    if best is None:
        return Other(row, False, "keeps every limit", score)
    reason = scorer.lost.format(mine=scorer.text(score), best=scorer.text(scorer.value(best)))
    return Other(row, False, reason, score)


def _finite(score: float | None) -> float | None:
    """JSON has no infinity."""
    return None if score is None or not math.isfinite(score) else score

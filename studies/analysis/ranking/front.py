"""The Pareto front of a study of networks, ranked by Green Score within the allowed drop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Batched, Outcome
from greenfront.objectives.pareto import non_dominated
from greenfront.objectives.scores import (
    Floor,
    Tolerance,
    green_score,
    maximised,
    objective_names,
)
from greenfront.spaces.candidate import Candidate
from greenfront.studies.analysis.ranking.knee import knee_of
from greenfront.studies.analysis.ranking.volume import Corners, minimised
from greenfront.studies.analysis.scores.eligibility import unlikely, within_drop_probability
from greenfront.studies.analysis.scores.interval import score_interval
from greenfront.studies.store.trials import NetworkTrial

__all__ = [
    "NAMES",
    "Front",
    "ScoredTrial",
    "baseline_of",
    "baselines_of",
    "corners",
    "finished",
    "most_accurate",
    "rank",
    "scored",
]

NAMES = ("greenest", "most accurate", "knee")
"""Of the models of a front that are worth a look, the greenest first."""


@dataclass(frozen=True, slots=True)
class ScoredTrial:
    """One finished trial with its scores.

    Attributes:
        rank: From 1, best first.
        trial: Optuna's number.
        candidate: What was tried.
        outcome: What was measured.
        score: In the unit of the study's metric.
        energy_kwh: Of making it and of the study's number of predictions.
        co2_kg: The same in CO₂ equivalent.
        green_score: The metric in percent per kg of CO₂, infinite for none emitted.
        objection: Why it is not eligible; ``None`` if it is.
        probability: That it is on the front, given how measurements scatter and on which examples
            it happened to be judged; ``None`` if unknown.
        tied: Whether its Green Score cannot be told from that of the row above.
        within_drop: Probability that it is accurate enough, see :func:`within_drop_probability`;
            ``None`` if unknown.
        beats_baseline: Probability that it is better than the untouched baseline in the objective
            in which that is likeliest; ``None`` if unknown.
    """

    rank: int
    trial: int
    candidate: Candidate
    outcome: Outcome
    score: float
    energy_kwh: float
    co2_kg: float
    green_score: float
    objection: str | None
    probability: float | None = None
    tied: bool = False
    within_drop: float | None = None
    beats_baseline: float | None = None

    @property
    def eligible(self) -> bool:
        """Whether it is accurate enough to be ranked."""
        return self.objection is None

    @property
    def made_of(self) -> str | None:
        """Of which trials it was made after the search, in words; ``None`` of one of the search."""
        if self.outcome.derived is None:
            return None
        *first, last = map(str, self.outcome.derived.origins)
        origins = f"trials {', '.join(first)} and {last}" if first else f"trial {last}"
        return f"made after the search of {origins}"

    @property
    def values(self) -> tuple[float, float, float]:
        """Those of :func:`~greenfront.objectives.scores.objective_names`."""
        return self.score, self.energy_kwh, self.co2_kg

    @property
    def theoretical_bytes(self) -> float:
        """Weights times bits: a file without structure, scales and short tensors."""
        return self.outcome.parameters * self.candidate.precision.bits / 8

    def to_json(self, metric: Metric) -> dict[str, Any]:
        """The row of ``greenfront front --json``, of a study with this metric."""
        outcome, decisions = self.outcome, self.outcome.decisions
        interval = score_interval(outcome, metric)
        return {
            "rank": self.rank,
            "trial": self.trial,
            # Accuracy had a key of its own when it was the only metric.
            **({"accuracy": self.score} if metric.name == "accuracy" else {}),
            "metric": metric.name,
            "score": self.score,
            "score_low": None if interval is None else interval.low,
            "score_high": None if interval is None else interval.high,
            "score_examples": outcome.examples,
            "score_folds": [fold.score for fold in outcome.folds],
            "score_levelled": len(outcome.folds) == 1,
            "threshold": None if decisions is None else decisions.threshold,
            "predicted": None if decisions is None else list(decisions.predicted),
            "confusion": None if decisions is None else decisions.confusion,
            "energy_kwh": self.energy_kwh,
            "co2_kg": self.co2_kg,
            # JSON has no infinity, which is the score of a model that emits nothing.
            "green_score": self.green_score if math.isfinite(self.green_score) else None,
            "eligible": self.eligible,
            "reason": self.objection,
            "front_probability": self.probability,
            "within_drop_probability": self.within_drop,
            "beats_baseline_probability": self.beats_baseline,
            "tied_with_the_row_above": self.tied,
            "measurements": outcome.measurements,
            "derived": None if outcome.derived is None else asdict(outcome.derived),
            "candidate": self.candidate.to_json(),
            "phases": {
                "training_kwh": outcome.training.kwh,
                "inference_joules": outcome.inference.joules,
                "inference_low_joules": outcome.inference.low_joules,
                "inference_high_joules": outcome.inference.high_joules,
                "inference_spread": outcome.inference_spread,
                "preprocessing_joules": outcome.preprocessing and outcome.preprocessing.joules,
                "machine": outcome.machine or None,
                "kind": outcome.inference.kind,
                "source": outcome.inference.source,
                "latency_seconds": outcome.latency_seconds,
                "batched": None if outcome.batched is None else _batched(outcome.batched),
                "artefact_bytes": outcome.artefact_bytes,
                "theoretical_bytes": self.theoretical_bytes,
                "max_error": outcome.max_error,
                "agreement": outcome.agreement,
                "relative_error": outcome.relative_error,
                "floating_layers": outcome.floating_layers,
                "left_on_cpu": dict(outcome.left_on_cpu),
                "parameters": outcome.parameters,
                "flops": outcome.flops,
                "passed_on": outcome.passed_on,
                "pruned_ratio": outcome.pruned_ratio,
                "zeros": outcome.zeros,
                "compressed_bytes": outcome.compressed_bytes,
                "peak_memory_bytes": outcome.peak_memory_bytes,
                "making_kwh": {name: r.kwh for name, r in outcome.phases.items()},
            },
        }


@dataclass(frozen=True, slots=True)
class Front:
    """The non-dominated trials of a study, ranked.

    Attributes:
        study: Name.
        metric: What models are judged by.
        tolerance: How much less accurate than the best model an eligible one may be.
        floor: That in numbers; ``None`` while no trial is complete.
        rows: By rank.
    """

    study: str
    metric: Metric
    tolerance: Tolerance
    floor: Floor | None
    rows: tuple[ScoredTrial, ...]

    @property
    def greenest(self) -> ScoredTrial | None:
        """The first eligible row: of the models that are accurate enough, the highest score."""
        return next((row for row in self.rows if row.eligible), None)

    @property
    def most_accurate(self) -> ScoredTrial | None:
        """The row with the best score; of several, the one of least energy."""
        return most_accurate(self.rows, self.metric)

    @property
    def knee(self) -> ScoredTrial | None:
        """Where more accuracy begins to cost much more energy, see :func:`knee_of`.

        Looked for among all rows that have learnt something, eligible or not.
        """
        learnt = [row for row in self.rows if self.metric.has_learnt(row.score)]
        gains = [self.metric.gain(row.score) for row in learnt]
        found = knee_of(gains, [row.energy_kwh for row in learnt])
        return None if found is None else learnt[found]

    @property
    def named(self) -> dict[str, ScoredTrial | None]:
        """The rows that :data:`NAMES` stand for."""
        return dict(zip(NAMES, (self.greenest, self.most_accurate, self.knee), strict=True))

    def names(self, row: ScoredTrial) -> tuple[str, ...]:
        """What a row is called, such as ``("greenest", "knee")``; empty for most."""
        return tuple(
            name for name, found in self.named.items() if found and found.trial == row.trial
        )

    def to_json(self) -> dict[str, Any]:
        """The object of ``greenfront front --json``."""
        metric, limit = self.metric, None if self.floor is None else self.floor.limit
        return {
            "study": self.study,
            "objectives": list(objective_names(metric)),
            "metric": {
                "name": metric.name,
                "direction": metric.direction,
                "unit": "share" if metric.in_percent else metric.unit or None,
                "learnt_nothing": metric.nothing,
            },
            "rank_by": "green_score",
            "max_drop": self.tolerance.max_drop,
            "floor": self.tolerance.share,
            **({"floor_accuracy": limit} if metric.name == "accuracy" else {}),
            "floor_score": limit,
            "greenest": _number(self.greenest),
            "most_accurate": _number(self.most_accurate),
            "knee": _number(self.knee),
            "rows": [row.to_json(metric) for row in self.rows],
        }


def rank(study: str, rows: Sequence[NetworkTrial], tolerance: Tolerance, metric: Metric) -> Front:
    """Ranks the front: eligible models first, each group by Green Score, equal ones by energy.

    How accurate is enough is told by the best model that answers by itself: an ensemble, which is
    dearer than each of its models, shows what more there is to be had and asks no more of others.

    Args:
        study: Name.
        rows: Trials of a study of networks; those without values are passed over.
        tolerance: How much less accurate than the best model an eligible one may be.
        metric: What models are judged by.
    """
    complete = [row for row in rows if row.values is not None]
    if not complete:
        return Front(study, metric, tolerance, None, ())
    vectors = [_values(row) for row in complete]
    alone = [row for row in complete if not row.candidate.companions] or complete
    best = max(alone, key=lambda row: _accuracy_first(row, metric))
    floor = Floor(tolerance, _values(best)[0], metric)
    keep = non_dominated(minimised(vectors, maximised(metric)))
    members = [finished(row, floor) for row, kept in zip(complete, keep, strict=True) if kept]
    beside = finished(best, floor).outcome
    members = [_judged(row, beside, tolerance, metric) for row in members]
    members.sort(key=lambda row: (not row.eligible, -row.green_score, row.energy_kwh, row.trial))
    ranked = tuple(replace(row, rank=place) for place, row in enumerate(members, start=1))
    return Front(study, metric, tolerance, floor, ranked)


def scored(rows: Sequence[NetworkTrial], floor: Floor | None) -> tuple[ScoredTrial, ...]:
    """Every complete trial with its scores, in the order given; ranks are 0."""
    return tuple(finished(row, floor) for row in rows if floor and row.values is not None)


def finished(row: NetworkTrial, floor: Floor) -> ScoredTrial:
    """A complete trial with its scores and, as long as it is not ranked, rank 0.

    Raises:
        ValueError: The trial is not complete.
    """
    if row.values is None or row.outcome is None:
        raise ValueError(f"trial {row.number} is {row.state}: it has no values to score")
    score, energy, co2 = row.values
    return ScoredTrial(
        rank=0,
        trial=row.number,
        candidate=row.candidate,
        outcome=row.outcome,
        score=score,
        energy_kwh=energy,
        co2_kg=co2,
        green_score=green_score(floor.metric.percent(score), co2),
        objection=floor.objection(score),
    )


def _values(row: NetworkTrial) -> tuple[float, float, float]:
    assert row.values is not None
    score, energy_kwh, co2_kg = row.values
    return score, energy_kwh, co2_kg


def _accuracy_first(row: NetworkTrial, metric: Metric) -> tuple[float, float]:
    score, energy_kwh, _ = _values(row)
    return metric.gain(score), -energy_kwh


def _judged(row: ScoredTrial, best: Outcome, tolerance: Tolerance, metric: Metric) -> ScoredTrial:
    """With how sure it is that it is accurate enough, which speaks against it where it is not."""
    probability = within_drop_probability(row.outcome, best, tolerance, metric)
    objection = row.objection or unlikely(probability)
    return replace(row, within_drop=probability, objection=objection)


def most_accurate(rows: Sequence[ScoredTrial], metric: Metric) -> ScoredTrial | None:
    """The one with the best score, of several that of least energy; ``None`` of none."""
    return max(rows, key=lambda row: (metric.gain(row.score), -row.energy_kwh), default=None)


def baseline_of(
    rows: Sequence[ScoredTrial], baseline_keys: Sequence[str], metric: Metric
) -> ScoredTrial | None:
    """The untouched baseline that one would have shipped: the most accurate of the families'.

    Args:
        rows: Every complete trial.
        baseline_keys: Keys of the families' untouched baselines.
        metric: What models are judged by.

    Returns:
        ``None`` if none of them has finished.
    """
    return most_accurate(baselines_of(rows, baseline_keys), metric)


def baselines_of(rows: Sequence[ScoredTrial], baseline_keys: Sequence[str]) -> list[ScoredTrial]:
    """The families' untouched baselines among finished trials, in the order given."""
    # Of thousands of trials few are untouched, and a key is dear to make.
    untouched = [row for row in rows if row.candidate.untouched]
    return [row for row in untouched if row.candidate.key in baseline_keys]


def corners(baselines: Sequence[Sequence[float]], metric: Metric) -> Corners | None:
    """The box in which the hypervolume of a study of networks is measured.

    From a model that has learnt nothing at the price of the dearest baseline, to a faultless one
    that costs nothing: a scale that is known once the baselines are, and does not move.

    Args:
        baselines: Values of the finished untouched baselines.
        metric: What models are judged by.

    Returns:
        ``None`` while no baseline has finished.
    """
    if not baselines:
        return None
    dearest = [max(values[index] for values in baselines) for index in (1, 2)]
    return Corners((metric.nothing, *dearest), (metric.perfect, 0.0, 0.0))


def _batched(batched: Batched) -> dict[str, Any]:
    return {
        "batch": batched.batch,
        "inference_joules": batched.inference.joules,
        "latency_seconds": batched.latency_seconds,
    }


def _number(row: ScoredTrial | None) -> int | None:
    return None if row is None else row.trial

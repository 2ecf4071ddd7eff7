"""What the page says in sentences: how the numbers were come by, and what came out."""

from __future__ import annotations

from greenfront.objectives.metrics import Metric
from greenfront.studies.analysis.findings.decisions import decision
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.metric_words import difference, score_in_unit
from greenfront.studies.analysis.words.quantities import percent

__all__ = ["instruments", "proportionality", "summary"]


def instruments(view: StudyView) -> str:
    """Each metered component with its kind, such as ``"cpu modelled, gpu measured"``."""
    told = [f"{meter['component']} {meter['kind']}" for meter in view.meters]
    return ", ".join(told) or "no instrument"


def describe(view: StudyView, row: ScoredTrial) -> str:
    """A trial with what it tried, for people."""
    return f"trial {row.trial} ({view.label(row)})"


def proportionality(view: StudyView) -> str | None:
    """What a reader must know where CO₂ is a multiple of energy; ``None`` where it is not."""
    model = view.file.carbon.study_model(view.facts)
    if not model.proportional_to_energy:
        return None
    grams = f"{model.intensity.g_per_kwh * model.pue:.4g}"
    return (
        f"CO₂ is a constant multiple of energy in this study ({grams} g per kWh and no embodied "
        "share): one front stands for both."
    )


def summary(view: StudyView) -> str:
    """The outcome in one plain sentence, or what is missing for it."""
    greenest = view.front.greenest
    sentences = [_outcome(view)]
    if view.lost_baseline is not None:
        sentences.insert(0, view.lost_baseline)
    decided = None if greenest is None else decision(view, greenest)
    return " ".join([*sentences, *([decided] if decided else [])])


def _outcome(view: StudyView) -> str:
    if not view.complete:
        return "No trial has finished with a result yet, so there is nothing to compare."
    greenest, baseline = view.front.greenest, view.baseline
    if greenest is None:
        first = view.front.rows[0]
        return (
            f"No model is accurate enough yet: the first of the front, {describe(view, first)}, is "
            f"{first.objection}."
        )
    if baseline is None:
        return (
            f"The greenest model that is accurate enough so far is {describe(view, greenest)} with "
            f"{scored(view, greenest)}; the untouched baseline has "
            "not finished, so there is nothing to compare it with."
        )
    if greenest.trial == baseline.trial:
        return (
            "The greenest model that is accurate enough is the untouched baseline itself, "
            f"{describe(view, greenest)}, with {scored(view, greenest)}: nothing that was tried "
            "ranks above it."
        )
    beaten = "" if view.best else " That it saves anything is not sure: measurements scatter."
    return (
        f"The greenest model that is accurate enough, {describe(view, greenest)}, "
        f"{_score(view.metric, greenest, baseline)} the untouched baseline, "
        f"{describe(view, baseline)}; "
        f"{_inference(greenest, baseline, view.kind)}, and its file has "
        f"{_size(greenest, baseline)}.{beaten}"
    )


def scored(view: StudyView, row: ScoredTrial) -> str:
    """A model's score, such as ``"an accuracy of 97.2%"`` or ``"ROC AUC 0.91"``."""
    metric = view.metric
    title = "an accuracy of" if metric.name == "accuracy" else metric.title
    return f"{title} {score_in_unit(metric, row.score)}"


def _score(metric: Metric, best: ScoredTrial, baseline: ScoredTrial) -> str:
    if metric.name != "accuracy":
        return f"has {difference(metric, best.score, baseline.score)}"
    points = 100 * (best.score - baseline.score)
    if abs(points) < 0.005:
        return "is as accurate as"
    return f"is {abs(points):.2f} points {'more' if points > 0 else 'less'} accurate than"


def _inference(best: ScoredTrial, baseline: ScoredTrial, kind: str) -> str:
    chosen, usual = best.outcome.answer.joules, baseline.outcome.answer.joules
    if not chosen or not usual:
        return "the energy of a prediction is not known for both"
    return f"a prediction takes {percent(chosen / usual)} of the baseline's energy ({kind})"


def _size(best: ScoredTrial, baseline: ScoredTrial) -> str:
    chosen, usual = best.outcome.artefact_bytes, baseline.outcome.artefact_bytes
    return f"{percent(chosen / max(usual, 1))} of the baseline's size"

"""What the page's script knows of a study: enough to score it anew, and to tell of each trial.

Numbers that scores are made of keep all their digits, so that the page ranks exactly as
``greenfront whatif`` does; those that are only shown are rounded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from greenfront.objectives.carbon.intensity import region_intensity, regions
from greenfront.objectives.pareto import non_dominated
from greenfront.objectives.readings import Reading
from greenfront.studies.analysis.findings.decisions import never_decides
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.scores.eligibility import within_drop_probability
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.labels import flat_settings
from greenfront.studies.report.tables import fixed_cells

__all__ = ["as_json", "payload"]


def as_json(data: Any) -> str:
    """JSON that no HTML parser can take for markup."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def payload(view: StudyView) -> dict[str, Any]:
    """Plain values for :func:`as_json`."""
    metric, carbon, spent = view.metric, view.scoring.carbon, view.spent
    rows = _rows(view)
    return {
        "name": view.name,
        "kind": view.kind,
        "metric": {
            "title": metric.title,
            "heading": metric.heading,
            "maximise": metric.maximise,
            "inPercent": metric.in_percent,
            "nothing": metric.nothing,
            "perfect": metric.perfect if metric.maximise else None,
        },
        "study": {
            "predictions": view.scoring.predictions,
            "grams": carbon.intensity.g_per_kwh,
            "makingGrams": (carbon.training or carbon.intensity).g_per_kwh,
            "region": carbon.intensity.region,
            "pue": carbon.pue,
            "years": view.file.operation.years,
            "euro": view.file.operation.euro_per_kwh,
        },
        "embodied": carbon.embodied_kg_per_device_hour,
        "shares": 1 if carbon.embodied_component == "gpu" else carbon.device_threads,
        "proportional": carbon.proportional_to_energy,
        "spentKwh": None if spent.unknown else spent.kwh,
        "columns": _columns(view, rows),
        "front": _measured_places(view),
        "rivals": _rivals(view, rows),
        "regions": [[name, region_intensity(name).g_per_kwh] for name in regions()],
    }


def _rows(view: StudyView) -> list[ScoredTrial]:
    """Every finished trial, those of the front as they were judged there."""
    judged = {row.trial: row for row in view.front.rows}
    return [judged.get(row.trial, row) for row in view.complete]


def _columns(view: StudyView, rows: Sequence[ScoredTrial]) -> dict[str, Any]:
    """Of each trial, column by column: names would outweigh the numbers."""
    carbon, keys = view.scoring.carbon, set(view.file.baseline_keys(view.facts))
    floor = view.front.floor

    def making_hours(row: ScoredTrial) -> float:
        reading = row.outcome.training
        return carbon.busy_hours("cpu", reading) + carbon.busy_hours("gpu", reading)

    objections = [None if floor is None else floor.objection(row.score) for row in rows]
    return {
        "trial": [row.trial for row in rows],
        "label": [view.label(row) for row in rows],
        "score": [row.score for row in rows],
        "percent": [view.metric.percent(row.score) for row in rows],
        "making": [row.outcome.training.kwh for row in rows],
        "answer": [row.outcome.answer.kwh for row in rows],
        **(
            {
                "makingHours": [making_hours(row) for row in rows],
                "answerHours": [carbon.busy_hours("cpu", row.outcome.answer) for row in rows],
            }
            if carbon.embodied_kg_per_device_hour
            else {}
        ),
        "objection": _interned(objections),
        "never": _interned([never_decides(view, row) for row in rows]),
        "baseline": [int(row.candidate.key in keys) for row in rows],
        "cells": [fixed_cells(view, row) for row in rows],
        "joules": [_rounded(row.outcome.answer.joules) for row in rows],
        "ends": [_ends(row.outcome.answer) for row in rows],
        "latency": [_rounded(row.outcome.latency_seconds) for row in rows],
        "bytes": [row.outcome.artefact_bytes for row in rows],
        "preprocessing": [
            None
            if row.outcome.preprocessing is None
            else _rounded(row.outcome.preprocessing.joules)
            for row in rows
        ],
        "parameters": [row.outcome.parameters for row in rows],
        "pruned": [_rounded(row.outcome.pruned_ratio) for row in rows],
        "epochs": [row.outcome.epochs for row in rows],
        "measurements": [row.outcome.measurements for row in rows],
        "source": _interned(
            [f"{row.outcome.inference.kind}: {row.outcome.inference.source}" for row in rows]
        ),
        "phases": _mapped(
            [{n: _rounded(r.kwh) for n, r in row.outcome.phases.items()} for row in rows]
        ),
        "settings": _settings(rows),
    }


def _measured_places(view: StudyView) -> dict[str, Any]:
    """What was found out of the front by measuring again, which no script repeats."""
    return {
        str(row.trial): {
            "probability": row.probability,
            "tied": row.tied,
        }
        for row in view.front.rows
    }


def _rivals(view: StudyView, rows: Sequence[ScoredTrial]) -> dict[str, Any]:
    """The trials that may be on the front at some intensity, overhead or number of predictions.

    One is not that is nowhere better than another in its score and in what making it and a
    prediction take. With each goes the probability that it is accurate enough beside each single
    model that may be the most accurate.
    """
    known = [row for row in rows if row.outcome.training.kwh is not None]
    carbon, metric = view.scoring.carbon, view.metric

    def costs(row: ScoredTrial) -> list[float]:
        outcome = row.outcome
        told = [-metric.gain(row.score), outcome.training.kwh or 0.0, outcome.answer.kwh or 0.0]
        if carbon.embodied_kg_per_device_hour:
            training = outcome.training
            told.append(carbon.busy_hours("cpu", training) + carbon.busy_hours("gpu", training))
            told.append(carbon.busy_hours("cpu", outcome.answer))
        return told

    if not known:
        return {"trials": [], "within": {}}
    kept = non_dominated(np.array([costs(row) for row in known]))
    rivals = [row for row, keep in zip(known, kept, strict=True) if keep]
    single = [row for row in known if not row.candidate.companions] or known
    top = max(metric.gain(row.score) for row in single)
    bests = [row for row in single if metric.gain(row.score) == top]
    return {
        "trials": [row.trial for row in rivals],
        "within": {
            str(best.trial): [
                within_drop_probability(row.outcome, best.outcome, view.front.tolerance, metric)
                for row in rivals
            ]
            for best in bests
        },
    }


def _settings(rows: Sequence[ScoredTrial]) -> dict[str, Any]:
    return _mapped([flat_settings(row.candidate.to_json()) for row in rows])


def _mapped(maps: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Maps of few keys and values: the keys, and of each the column of its values."""
    names = list(dict.fromkeys(name for one in maps for name in one))
    return {name: _interned([one.get(name) for one in maps]) for name in names}


def _interned(values: Sequence[Any]) -> dict[str, Any]:
    """Values that repeat: each once, and where it stands."""
    places: dict[str, int] = {}
    distinct: list[Any] = []
    for value in values:
        if repr(value) not in places:
            places[repr(value)] = len(distinct)
            distinct.append(value)
    return {"values": distinct, "at": [places[repr(value)] for value in values]}


def _ends(reading: Reading) -> list[float | None]:
    return [_rounded(reading.low_joules), _rounded(reading.high_joules)]


def _rounded(value: float | None) -> float | None:
    """Four digits, for what is only shown."""
    return None if value is None else float(f"{value:.4g}")

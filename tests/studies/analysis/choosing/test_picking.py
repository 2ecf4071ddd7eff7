from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from contracts.reports import study
from greenfront.errors import UsageError
from greenfront.objectives.scores import Weights, energy_to_score_ratio, weighted_loss
from greenfront.studies.analysis.choosing.picking import RULES, Limits, pick

VIEW = study()
ELIGIBLE = [row for row in VIEW.front.rows if row.eligible]
LEARNT = [row for row in VIEW.complete if row.objection is None]


def test_green_is_the_greenest_of_the_front() -> None:
    found = pick(VIEW)
    assert VIEW.front.greenest is not None
    assert found.row is not None
    assert found.row.trial == VIEW.front.greenest.trial
    assert found.score == found.row.green_score


def test_lifetime_is_the_least_carbon() -> None:
    found = pick(VIEW, "lifetime")
    assert found.row is not None
    assert found.score == found.row.co2_kg == min(row.co2_kg for row in LEARNT)


def test_ratio_is_the_least_energy_a_percent() -> None:
    found = pick(VIEW, "ratio")
    ratios = [energy_to_score_ratio(100 * row.score, row.energy_kwh) for row in LEARNT]
    assert found.score == pytest.approx(min(ratios), rel=1e-12)


@pytest.mark.parametrize("weights", [Weights(1, 0, 0), Weights(0, 1, 0), Weights(3, 2, 1)])
def test_weighted_is_the_least_weighted_loss(weights: Weights) -> None:
    found = pick(VIEW, "weighted", weights=weights)
    assert VIEW.baseline is not None
    losses = [
        weighted_loss(row.values, VIEW.baseline.values, weights, VIEW.metric) for row in LEARNT
    ]
    assert found.score == pytest.approx(min(losses), rel=1e-12)
    if weights == Weights(1, 0, 0):
        assert found.row is not None
        assert found.row.score == max(row.score for row in LEARNT)


def test_weighted_needs_a_baseline() -> None:
    with pytest.raises(UsageError, match="needs the untouched baseline"):
        pick(replace(VIEW, baseline=None), "weighted")


def test_the_knee_is_that_of_what_keeps_every_limit() -> None:
    # Only models that are accurate enough: its knee is another than the whole front's.
    found = pick(VIEW, "knee")
    if found.row is not None:
        assert found.row.objection is None
    straight = replace(VIEW, complete=VIEW.complete[:2], front=replace(VIEW.front, rows=()))
    none = pick(straight, "knee")
    assert none.row is None
    assert "no knee among the" in none.reason


@pytest.mark.parametrize("rule", RULES)
def test_every_other_model_says_why_not(rule: str) -> None:
    found = pick(VIEW, next(each for each in RULES if each == rule))
    shown = {row.trial for row in VIEW.front.rows} | {0}
    picked = set() if found.row is None else {found.row.trial}
    assert {other.row.trial for other in found.others} == shown - picked
    for other in found.others:
        assert other.excluded == (other.row.objection is not None)
        assert other.reason == other.row.objection or not other.excluded
    json.dumps(found.to_json(VIEW), allow_nan=False)


def test_what_keeps_a_limit_may_lie_behind_the_front() -> None:
    """Size is no objective, so the smallest file need not be on the front."""
    least = min(row.outcome.artefact_bytes for row in LEARNT)
    found = pick(VIEW, limits=Limits(file_bytes=least))
    assert found.row is not None
    assert found.row.outcome.artefact_bytes == least
    for other in found.others:
        assert other.excluded
        assert other.reason == other.row.objection or other.reason.startswith("size: ")


def test_each_limit_is_kept() -> None:
    latency = sorted(row.outcome.latency_seconds for row in LEARNT)[3]
    found = pick(VIEW, limits=Limits(latency_seconds=latency))
    assert found.row is not None
    assert found.row.outcome.latency_seconds <= latency
    energy = sorted(row.outcome.answer.joules or math.inf for row in LEARNT)[2]
    found = pick(VIEW, limits=Limits(joules=energy))
    assert found.row is not None
    assert found.row.outcome.answer.joules is not None
    assert found.row.outcome.answer.joules <= energy
    rows = {row.trial for row in (*VIEW.complete, *VIEW.front.rows)}
    left = len(rows) - sum(other.excluded for other in pick(VIEW).others)
    assert f" of {len(rows)} models that keep every limit" in pick(VIEW).reason
    assert left < len(rows)


def test_where_nothing_is_left_out_none_is_counted_against_all() -> None:
    usual = [row for row in VIEW.complete if row.objection is None]
    found = pick(replace(VIEW, complete=usual, front=replace(VIEW.front, rows=())))
    assert f"of all {len(usual)} models, which keep every limit" in found.reason


def test_limits_that_nothing_keeps() -> None:
    found = pick(VIEW, limits=Limits(joules=1e-12))
    assert found.row is None
    assert found.score is None
    assert found.reason.startswith("no model keeps every limit")
    assert all(other.excluded for other in found.others)


def test_unknown_energy_keeps_no_limit() -> None:
    row = ELIGIBLE[0]
    reading = replace(row.outcome.inference, joules=None, kind="unavailable")
    unknown = replace(row, outcome=replace(row.outcome, inference=reading))
    assert Limits(joules=1.0).objection(unknown) == "a prediction: unknown, at most 1.00 J allowed"
    assert Limits().objection(unknown) is None


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_limit_is_a_number_above_nothing(value: float) -> None:
    with pytest.raises(UsageError, match="file_bytes: must be a finite number above 0"):
        Limits(file_bytes=value)


def test_a_study_without_results_picks_nothing() -> None:
    found = pick(study(trials=0))
    assert found.row is None
    assert "no trial has finished" in found.reason

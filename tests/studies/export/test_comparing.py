from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from contracts.records import exported, unmetered
from greenfront.errors import UsageError
from greenfront.objectives.metrics import Metric
from greenfront.objectives.resampling import DRAWS, packed
from greenfront.studies.export.comparing import Ratio, compare
from greenfront.studies.export.record import ModelRecord, Score

FIRST = exported()
DRAWN = np.random.default_rng(1).normal(0.95, 0.01, DRAWS).astype(np.float32)


def other(
    score: float, *, better_by: float = 0.0, cost: float = 1.0, examples: int = 360
) -> ModelRecord:
    """A model that is better on each resample by so much, and takes so much energy."""
    answer = FIRST.model.answer
    joules = answer.reading.joules
    assert joules is not None
    reading = replace(answer.reading, joules=cost * joules)
    test = Score(score, None, None, examples, resampled=packed(DRAWN + np.float32(better_by)))
    return replace(
        FIRST, model=replace(FIRST.model, test=test, answer=replace(answer, reading=reading))
    )


def ratio(found: tuple[Ratio, ...], name: str) -> Ratio:
    return next(each for each in found if each.name == name)


def test_a_model_equals_itself() -> None:
    found = compare(other(0.95), other(0.95))
    assert found.split == "test"
    assert found.difference is not None
    assert (found.difference.value, found.difference.low, found.difference.high) == (0, 0, 0)
    assert "apart" in found.verdict
    assert {each.ratio for each in found.ratios} == {1.0}


def test_pairs_tell_more_than_two_intervals() -> None:
    """Both scatter by a point; one is better by a tenth of that on every resample."""
    found = compare(other(0.95), other(0.951, better_by=0.001))
    assert found.difference is not None
    assert found.difference.low == pytest.approx(0.001, abs=1e-6)
    assert found.difference.high == pytest.approx(0.001, abs=1e-6)
    assert found.verdict == "the second scores better, by more than luck"
    back = compare(other(0.951, better_by=0.001), other(0.95))
    assert back.verdict == "the first scores better, by more than luck"


def test_lower_is_better_of_errors() -> None:
    metric = Metric("rmse", 4.0, "K")
    first, second = (replace(one, metric=metric) for one in (other(2.0), other(1.0, better_by=-1)))
    assert compare(first, second).verdict == "the second scores better, by more than luck"


def test_other_examples_are_not_paired() -> None:
    second = replace(other(0.97), task=replace(FIRST.task, fingerprint="other"))
    found = compare(other(0.95), second)
    assert found.difference is not None
    assert found.difference.value == pytest.approx(0.02)
    assert found.difference.low is None
    assert any("different examples" in remark for remark in found.remarks)
    assert compare(other(0.95), other(0.95, examples=12)).difference == replace(
        found.difference, value=0.0
    )


def test_ratios_are_in_closed_form() -> None:
    first, second = other(0.95), other(0.95, cost=3.0)
    found = compare(first, second).ratios
    assert ratio(found, "energy of a prediction").ratio == pytest.approx(3)
    one, two = first.model, second.model
    made, answered = one.training.reading.kwh, two.answer.reading.kwh
    assert made is not None
    assert answered is not None
    whole = made + first.scoring.predictions * answered
    assert ratio(found, "energy of both").second == pytest.approx(whole, rel=1e-12)


def test_the_scatter_of_a_ratio_adds_up_in_squares() -> None:
    first, second = (
        replace(one, model=replace(one.model, inference_spread=spread))
        for one, spread in ((other(0.95), 0.03), (other(0.95, cost=2.0), 0.04))
    )
    found = ratio(compare(first, second).ratios, "energy of a prediction")
    assert found.high == pytest.approx(2 * (1 + math.hypot(0.03, 0.04)))
    assert found.low == pytest.approx(2 / (1 + math.hypot(0.03, 0.04)))


def test_both_are_scored_as_the_first() -> None:
    scoring = replace(FIRST.scoring, predictions=10.0)
    found = compare(other(0.95), replace(other(0.95), scoring=scoring))
    assert ratio(found.ratios, "CO₂ of both").ratio == pytest.approx(1)
    assert any("scored as the first's" in remark for remark in found.remarks)


def test_unknown_energy_has_no_ratio() -> None:
    found = compare(FIRST, unmetered())
    energy = ratio(found.ratios, "energy of a prediction")
    assert energy.second is None
    assert energy.ratio is None
    assert any("come by differently" in remark for remark in found.remarks)
    assert found.split == "validation"
    json.dumps(found.to_json(), allow_nan=False)


def test_other_metrics_are_not_compared() -> None:
    with pytest.raises(UsageError, match="judged by Accuracy and RMSE"):
        compare(FIRST, replace(FIRST, metric=Metric("rmse", 4.0, "K")))

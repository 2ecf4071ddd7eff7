from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest

from contracts.records import UNKNOWN, exported, stored
from greenfront.errors import UsageError
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.metered import InferenceCost
from greenfront.studies.export.checking import CheckLimits, check, markdown
from greenfront.studies.export.record import Difference, Score

RECORD = exported()


def cost(joules: float, spread: float | None = 0.02) -> InferenceCost:
    return InferenceCost(Reading(joules, joules, joules, "measured", "meter", 1, 1), 1e-3, spread)


@pytest.mark.parametrize(("joules", "passed"), [(0.9e-3, True), (1e-3, True), (1.1e-3, False)])
def test_energy_is_held_to_its_limit(joules: float, passed: bool) -> None:
    found = check(RECORD, cost(joules), CheckLimits(joules=1e-3))
    assert found.passed is passed
    assert found.findings[0].passed is passed
    assert found.findings[0].limit == "≤ 1.00 mJ"


def test_unknown_energy_keeps_no_limit() -> None:
    found = check(RECORD, InferenceCost(UNKNOWN, 1e-3), CheckLimits(joules=1.0))
    assert not found.passed
    assert found.findings[0].found == "–"


@pytest.mark.parametrize(("allowed", "passed"), [(0.005, False), (0.0056, True), (0.01, True)])
def test_a_drop_is_against_the_untouched_baseline_on_test(allowed: float, passed: bool) -> None:
    found = check(RECORD, cost(1e-3), CheckLimits(max_drop=allowed))
    assert found.passed is passed
    (finding,) = found.findings
    assert finding.asked == "Accuracy against the untouched baseline, on test"
    assert finding.found.startswith("−0.56 points")


def test_without_a_test_score_validation_counts_and_is_named() -> None:
    (finding,) = check(stored(), cost(1e-3), CheckLimits(max_drop=0.5)).findings
    assert finding.asked.endswith("the untouched baseline, on validation")
    nothing = replace(stored(), validation_difference=None)
    assert not check(nothing, cost(1e-3), CheckLimits(max_drop=0.5)).passed


def test_a_drop_is_against_the_other_model_where_there_is_one() -> None:
    better = replace(RECORD, model=replace(RECORD.model, test=Score(0.99, examples=360)))
    other = (better, cost(2e-3))
    found = check(RECORD, cost(1e-3), CheckLimits(max_drop=0.02), other=other)
    assert not found.passed  # 0.9694 is 2.06 points below
    assert "−2.06 points" in found.findings[0].found
    assert check(RECORD, cost(1e-3), CheckLimits(max_drop=0.021), other=other).passed


@pytest.mark.parametrize(("joules", "passed"), [(1.04e-3, True), (1.06e-3, False)])
def test_an_increase_is_against_what_the_other_takes_here(joules: float, passed: bool) -> None:
    limits = CheckLimits(max_increase=0.05)
    found = check(RECORD, cost(joules), limits, other=(RECORD, cost(1e-3)))
    assert found.passed is passed
    with pytest.raises(UsageError, match="--against"):
        check(RECORD, cost(joules), limits)


def test_a_folder_that_is_not_whole_breaks_every_limit() -> None:
    limits = CheckLimits(joules=1.0)
    found = check(RECORD, cost(1e-3), limits, broken=("model.onnx is not what was exported",))
    assert not found.passed
    assert all(finding.passed for finding in found.findings)
    assert "- ❌ model.onnx is not what was exported" in markdown(found)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_limits_are_numbers(value: float) -> None:
    with pytest.raises(UsageError, match="max_drop: must be a finite number of 0 or more"):
        CheckLimits(max_drop=value)
    with pytest.raises(UsageError, match="nothing to check"):
        CheckLimits()


def test_the_summary_is_markdown_that_says_everything() -> None:
    limits = CheckLimits(joules=0.5e-3, max_drop=0.01)
    found = check(RECORD, cost(1e-3), limits, other=(RECORD, cost(2e-3)), made_up=True)
    text = markdown(found)
    assert text.startswith("### greenfront: digits, trial ")
    assert "❌ breaks its limits" in text
    assert re.search(r"\| ❌ \| energy of a prediction \(measured\) \| ≤ 500 µJ \| 1.00 mJ", text)
    assert re.search(r"\| ✅ \| Accuracy against digits, trial \d+, on test \|", text)
    assert "made-up inputs" in text
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["passed"] is False
    assert told["against_joules"] == 2e-3


def test_of_errors_a_drop_is_a_share_of_knowing_nothing() -> None:
    metric = replace(RECORD.metric, name="rmse", nothing=4.0)
    record = replace(RECORD, metric=metric, test_difference=Difference(0.3, 0.1, 0.5))
    assert check(record, cost(1e-3), CheckLimits(max_drop=0.1)).passed  # 0.4 K are allowed
    assert not check(record, cost(1e-3), CheckLimits(max_drop=0.05)).passed

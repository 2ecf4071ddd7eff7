from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.errors import UsageError
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome, Sizing
from greenfront.objectives.readings import Reading
from greenfront.objectives.scores import (
    Floor,
    Scoring,
    Tolerance,
    Weights,
    break_even_predictions,
    energy_to_score_ratio,
    green_score,
    maximised,
    objective_names,
    weighted_loss,
)

HALF_A_KILO = Intensity(500.0, "HERE", "test")
CARBON = CarbonModel(HALF_A_KILO, pue=1.5)
SCORING = Scoring(1e6, CARBON)


def reading(joules: float | None, cpu_seconds: float = 0.0) -> Reading:
    kind = "unavailable" if joules is None else "measured"
    return Reading(joules, joules, joules, kind, "test", cpu_seconds, 123.0)  # type: ignore[arg-type]


OUTCOME = Outcome(
    score=0.9,
    phases={"train": reading(3.6e6, 7200), "export": reading(1.8e6, 3600)},
    inference=reading(3.6, 0.0036),
    latency_seconds=0.001,
    parameters=1000,
    flops=2000,
    artefact_bytes=4000,
    pruned_ratio=0.0,
    epochs=3,
    peak_memory_bytes=None,
    artefact="ab/abc/model.onnx",
)
"""Made for 1.5 kWh; a prediction costs a millionth of a kWh."""

UNMETERED = replace(OUTCOME, phases={**OUTCOME.phases, "train": reading(None)})
MUTE = replace(OUTCOME, inference=reading(None))


def values(scoring: Scoring) -> tuple[float, float, float]:
    found = scoring.values(OUTCOME)
    assert found is not None
    return found


def test_objectives() -> None:
    assert objective_names(Metric("accuracy", 0.1)) == ("accuracy", "energy_kwh", "co2_kg")
    assert maximised(Metric("rmse", 2.0)) == (False, False, False)
    assert SCORING.values(OUTCOME) == pytest.approx((0.9, 2.5, 2.5 * 1.5 * 0.5))


def test_energy_is_making_and_predictions() -> None:
    assert values(Scoring(0, CARBON))[1] == pytest.approx(1.5)
    assert values(Scoring(2e6, CARBON))[1] == pytest.approx(1.5 + 2)


def test_co2_counts_busy_hours_of_making_and_predictions() -> None:
    # Operational: 2.5 kWh × 1.5 × 0.5 kg; embodied: (3 h + 1e6 × 0.0036 s = 1 h) × 0.01 kg.
    carbon = CarbonModel(HALF_A_KILO, pue=1.5, embodied_kg_per_device_hour=0.01)
    assert values(Scoring(1e6, carbon))[2] == pytest.approx(1.875 + 0.04)
    # A GPU was held for 123 s in each of two phases, and predictions need none.
    gpu = replace(carbon, embodied_component="gpu", device_threads=16)
    assert values(Scoring(1e6, gpu))[2] == pytest.approx(1.875 + 246 / 3600 * 0.01)


@pytest.mark.parametrize("outcome", [UNMETERED, MUTE])
def test_unmetered_is_none_and_never_zero(outcome: Outcome) -> None:
    assert SCORING.values(outcome) is None
    assert SCORING.costs(outcome.training, outcome.answer) is None


def test_the_least_energy_is_that_of_the_predictions() -> None:
    sizing = Sizing(1000, 2000, 4000, reading(3.6), 0.001)
    assert SCORING.least_energy_kwh(sizing) == pytest.approx(1.0)
    assert SCORING.least_energy_kwh(replace(sizing, inference=reading(None))) is None
    assert SCORING.least_energy_kwh(sizing) <= values(SCORING)[1]  # type: ignore[operator]


def test_green_score() -> None:
    assert green_score(97, 0.5) == pytest.approx(194)
    assert green_score(10, 1e-9) > green_score(99, 1e-3)  # hence the floor
    assert green_score(50, 0.0) == math.inf


def test_break_even() -> None:
    assert break_even_predictions(3.0, 1e-6, 4e-6) == pytest.approx(1e6)
    assert break_even_predictions(3.0, 4e-6, 4e-6) is None
    assert break_even_predictions(3.0, 5e-6, 4e-6) is None


@given(st.floats(0.01, 10), st.floats(1e-9, 1e-3), st.floats(1e-9, 1e-3))
def test_at_break_even_both_ways_cost_the_same(spent: float, new: float, old: float) -> None:
    predictions = break_even_predictions(spent, new, old)
    if predictions is None:
        assert new >= old
    elif old - new > 1e-12:
        assert spent + predictions * new == pytest.approx(predictions * old, rel=1e-6)


def test_an_allowed_drop_is_a_difference() -> None:
    floor = Floor(Tolerance(max_drop=0.01), best=0.97, metric=Metric("accuracy", 0.1))
    assert floor.limit == pytest.approx(0.96)
    assert floor.objection(0.96) is None  # 0.97 - 0.01 is a little more
    assert floor.objection(0.9599) == (
        "1.01 points below the most accurate single model, of 1 allowed"
    )
    exact = Floor(Tolerance(max_drop=0.0), best=0.97, metric=Metric("accuracy", 0.1))
    assert exact.objection(0.97) is None
    assert exact.objection(0.969) is not None


def test_floor() -> None:
    floor = Floor(Tolerance(share=0.95), best=0.8, metric=Metric("accuracy", 0.1))
    assert floor.limit == pytest.approx(0.76)
    assert floor.objection(0.8) is None
    assert floor.objection(floor.limit) is None
    assert floor.objection(0.759) == "below the floor of 76.0%"


def test_the_floor_is_also_the_majority_class() -> None:
    floor = Floor(Tolerance(share=0.5), best=0.8, metric=Metric("accuracy", 0.6))
    assert floor.objection(0.61) is None
    assert floor.objection(0.6) == (
        "no better than always answering the most frequent class (60.0%)"
    )


def test_errors_may_be_larger_than_the_smallest_by_the_allowed_drop() -> None:
    metric = Metric("rmse", 4.0, "in units of 'dose'")
    floor = Floor(Tolerance(max_drop=0.01), best=2.0, metric=metric)
    assert floor.limit == pytest.approx(2.04)  # a hundredth of what was to be learnt
    assert floor.objection(2.04) is None
    assert floor.objection(2.1) == (
        "RMSE is worse by 0.1 than that of the most accurate single model, of 0.04 allowed"
    )
    assert floor.objection(4.0) == (
        "no better than a model that has learnt nothing (RMSE 4 in units of 'dose')"
    )
    shared = Floor(Tolerance(share=0.8), best=2.0, metric=metric)
    assert shared.limit == pytest.approx(2.5)
    assert shared.objection(2.6) == "above the floor of 2.5 in units of 'dose'"
    assert Floor(Tolerance(share=0.0), best=2.0, metric=metric).limit == math.inf
    r2 = Floor(Tolerance(max_drop=0.1), best=0.5, metric=Metric("r2", 0.0))
    assert r2.objection(0.45) is None
    assert r2.objection(0.3) == (
        "R² is worse by 0.2 than that of the most accurate single model, of 0.1 allowed"
    )


def test_a_ratio_counts_kwh_a_percent() -> None:
    assert energy_to_score_ratio(80.0, 0.004) == pytest.approx(0.00005, rel=1e-12)
    assert energy_to_score_ratio(0.0, 0.004) == math.inf


def test_a_weighted_loss_counts_shares_of_the_baseline() -> None:
    accuracy = Metric("accuracy", 0.1)
    baseline = (0.90, 0.004, 0.002)
    # Half of the errors, a quarter of the energy, twice the carbon.
    model = (0.95, 0.001, 0.004)
    found = weighted_loss(model, baseline, Weights(2.0, 3.0, 5.0), accuracy)
    assert found == pytest.approx(2 * 0.5 + 3 * 0.25 + 5 * 2, rel=1e-12)
    assert weighted_loss(baseline, baseline, Weights(2, 3, 5), accuracy) == pytest.approx(10)
    # Of errors the loss is the error itself.
    rmse = Metric("rmse", 4.0, "K")
    assert weighted_loss((1.5, 1, 1), (3.0, 1, 1), Weights(1, 0, 0), rmse) == pytest.approx(0.5)


def test_a_share_of_nothing_is_nothing_or_everything() -> None:
    accuracy = Metric("accuracy", 0.1)
    faultless = (1.0, 0.004, 0.0)
    assert weighted_loss(faultless, faultless, Weights(1, 1, 1), accuracy) == 1
    assert weighted_loss((0.9, 0.004, 0.0), faultless, Weights(1, 0, 0), accuracy) == math.inf
    # What weighs nothing is not asked for.
    assert weighted_loss((0.9, 0.002, 0.1), faultless, Weights(0, 1, 0), accuracy) == 0.5


@pytest.mark.parametrize("given", [(0, 0, 0), (-1, 1, 1), (math.nan, 1, 1), (math.inf, 1, 1)])
def test_weights_must_weigh(given: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="three finite numbers"):
        Weights(*given)

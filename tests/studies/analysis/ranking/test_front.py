from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.objectives.scores import Floor, Tolerance
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.ensemble import Ensemble
from greenfront.spaces.techniques.precision import Precision
from greenfront.studies.analysis.ranking.front import (
    NAMES,
    ScoredTrial,
    baseline_of,
    corners,
    finished,
    rank,
)
from greenfront.studies.analysis.ranking.volume import Corners
from greenfront.studies.store.trials import NetworkTrial, Trial, TrialState

METRIC = Metric("accuracy", 0.1)

SHARE = Tolerance(share=0.95)


def candidate(number: int) -> Candidate:
    return Candidate(ArchitectureChoice("mlp", (("depth", 1), ("width_1", number))))


def row(
    number: int,
    values: tuple[float, float, float] | None,
    outcome: Outcome | None,
    state: TrialState = "complete",
    tried: Candidate | None = None,
) -> NetworkTrial:
    tried = tried or candidate(number)
    return Trial(number, number, tried.key, state, tried, values, outcome, None, 1.0, 2.0)


@pytest.fixture
def rows(make_outcome: Callable[..., Outcome]) -> Callable[..., list[NetworkTrial]]:
    def make(*vectors: tuple[float, float, float]) -> list[NetworkTrial]:
        return [
            row(number, vector, make_outcome(vector[0], 1e-3, 1e-5))
            for number, vector in enumerate(vectors)
        ]

    return make


def test_ranks_eligible_models_first_and_each_group_by_green_score(
    rows: Callable[..., list[NetworkTrial]],
) -> None:
    front = rank(
        "wine",
        rows(
            (0.90, 4.0, 3.0),  # 30
            (0.96, 9.0, 8.0),  # 12
            (0.95, 5.0, 3.8),  # 25
            (0.50, 0.5, 0.1),  # 500, but below 0.9 × 0.96
            (0.89, 6.0, 6.0),  # dominated
            (0.20, 0.1, 0.01),  # 2000, but the majority class is as good
            (0.60, 1.0, 0.2),  # 300, but below
        ),
        Tolerance(share=0.9),
        metric=Metric("accuracy", 0.2),
    )
    assert [(r.rank, r.trial, r.eligible) for r in front.rows] == [
        (1, 0, True),
        (2, 2, True),
        (3, 1, True),
        (4, 5, False),
        (5, 3, False),
        (6, 6, False),
    ]
    scores = [100 * r.score / r.co2_kg for r in front.rows]
    assert [r.green_score for r in front.rows] == pytest.approx(scores)
    assert front.greenest == front.rows[0]
    assert front.floor == Floor(Tolerance(share=0.9), 0.96, Metric("accuracy", 0.2))
    assert [r.objection for r in front.rows] == [
        *(None, None, None),
        "no better than always answering the most frequent class (20.0%)",
        *("below the floor of 86.4%", "below the floor of 86.4%"),
    ]


def test_equal_scores_stand_in_the_order_of_their_trials(
    rows: Callable[..., list[NetworkTrial]],
) -> None:
    same = rows((0.9, 1.0, 1.0), (0.9, 1.0, 1.0), (0.9, 1.0, 1.0))
    front = rank("wine", same[::-1], SHARE, METRIC)
    assert [r.trial for r in front.rows] == [0, 1, 2]


def test_models_that_emit_nothing_stand_in_the_order_of_their_energy(
    rows: Callable[..., list[NetworkTrial]],
) -> None:
    front = rank(
        "wine", rows((0.99, 3.0, 0.0), (0.98, 2.0, 0.0), (0.97, 1.0, 0.0)), Tolerance(0.05), METRIC
    )
    assert [r.trial for r in front.rows] == [2, 1, 0]
    assert [r["green_score"] for r in front.to_json()["rows"]] == [None] * 3


def test_a_front_of_ineligible_models_has_no_best(rows: Callable[..., list[NetworkTrial]]) -> None:
    front = rank("wine", rows((0.4, 1.0, 1.0)), SHARE, Metric("accuracy", 0.4))
    assert [r.eligible for r in front.rows] == [False]
    assert front.greenest is None


def test_no_trials_no_front() -> None:
    running = row(0, None, None, "running")
    for rows_ in ([], [running, row(1, None, None, "failed")]):
        front = rank("wine", rows_, SHARE, METRIC)
        assert (front.rows, front.floor, front.named) == ((), None, dict.fromkeys(NAMES))
        assert front.to_json()["rows"] == []
        assert front.to_json()["floor_accuracy"] is None


def test_trials_without_values_are_passed_over(
    rows: Callable[..., list[NetworkTrial]],
) -> None:
    done = rows((0.9, 1.0, 1.0))
    front = rank("wine", [*done, row(1, None, None, "stopped")], SHARE, METRIC)
    assert [r.trial for r in front.rows] == [0]
    with pytest.raises(ValueError, match="trial 1 is stopped: it has no values to score"):
        finished(row(1, None, None, "stopped"), Floor(SHARE, 0.9, METRIC))


coarse = st.integers(0, 4).map(lambda number: number / 4)


@settings(deadline=None)
@given(
    vectors=st.lists(st.tuples(coarse, coarse, coarse), min_size=1, max_size=12),
    share=st.floats(0, 1),
    majority=coarse,
)
def test_members_are_the_non_dominated_trials(
    vectors: list[tuple[float, float, float]], share: float, majority: float
) -> None:
    reading = Reading(1.0, 1.0, 1.0, "modelled", "model", 0.0, 0.0)
    outcome = Outcome(0.5, {"train": reading}, reading, 0.1, 1, 1, 1, 0.0, 1, None, "a")
    front = rank(
        "any",
        [row(n, vector, outcome) for n, vector in enumerate(vectors)],
        Tolerance(share=share),
        Metric("accuracy", majority),
    )
    losses = np.array(vectors) * [-1, 1, 1]
    expected = set(np.flatnonzero(moocore.is_nondominated(losses, keep_weakly=True)))
    assert {r.trial for r in front.rows} == expected
    assert [r.rank for r in front.rows] == list(range(1, len(expected) + 1))
    enough = share * max(accuracy for accuracy, _, _ in vectors)
    order = [(not r.eligible, -r.green_score, r.energy_kwh, r.trial) for r in front.rows]
    assert order == sorted(order)
    for r in front.rows:
        assert r.eligible == (r.score > majority and r.score >= enough)
        assert (r.score, r.energy_kwh, r.co2_kg) == vectors[r.trial]


def test_json_has_the_promised_keys(
    rows: Callable[..., list[NetworkTrial]], make_outcome: Callable[..., Outcome]
) -> None:
    trials = rows((0.9, 4.0, 3.0), (0.4, 1.0, 0.1))
    data = json.loads(json.dumps(rank("wine", trials, SHARE, METRIC).to_json(), allow_nan=False))
    assert {key: value for key, value in data.items() if key != "rows"} == {
        "study": "wine",
        "objectives": ["accuracy", "energy_kwh", "co2_kg"],
        "rank_by": "green_score",
        "max_drop": None,
        "floor": 0.95,
        "floor_accuracy": pytest.approx(0.855),
        "floor_score": pytest.approx(0.855),
        "metric": {
            "name": "accuracy",
            "direction": "maximize",
            "unit": "share",
            "learnt_nothing": 0.1,
        },
        "greenest": 0,
        "most_accurate": 0,
        "knee": None,
    }
    best, poor = data["rows"]
    assert best == {
        "rank": 1,
        "trial": 0,
        "accuracy": 0.9,
        "metric": "accuracy",
        "score": 0.9,
        "score_low": None,
        "score_high": None,
        "score_examples": None,
        "score_folds": [],
        "score_levelled": False,
        "threshold": None,
        "predicted": None,
        "confusion": None,
        "energy_kwh": 4.0,
        "co2_kg": 3.0,
        "green_score": pytest.approx(30.0),
        "eligible": True,
        "reason": None,
        "front_probability": None,
        "within_drop_probability": None,
        "beats_baseline_probability": None,
        "tied_with_the_row_above": False,
        "measurements": 1,
        "derived": None,
        "candidate": candidate(0).to_json(),
        "phases": {
            "training_kwh": pytest.approx(1e-3),
            "inference_joules": 1e-5,
            "inference_low_joules": 0.5e-5,
            "inference_high_joules": 2e-5,
            "inference_spread": None,
            "preprocessing_joules": None,
            "machine": None,
            "kind": "modelled",
            "source": "model",
            "latency_seconds": 0.002,
            "batched": None,
            "artefact_bytes": 4096,
            "theoretical_bytes": 1000 * candidate(0).precision.bits / 8,
            "max_error": None,
            "agreement": None,
            "relative_error": None,
            "floating_layers": 0,
            "left_on_cpu": {},
            "parameters": 1000,
            "flops": 2000,
            "passed_on": None,
            "pruned_ratio": 0.25,
            "zeros": 0.0,
            "compressed_bytes": None,
            "peak_memory_bytes": None,
            "making_kwh": {"train": pytest.approx(1e-3)},
        },
    }
    assert (poor["eligible"], poor["reason"]) == (False, "below the floor of 85.5%")


def test_json_has_no_infinity_for_a_model_that_emits_nothing(
    rows: Callable[..., list[NetworkTrial]],
) -> None:
    front = rank(
        "wine",
        rows((0.9, 4.0, 0.0), (0.95, 5.0, 1.0)),
        Tolerance(share=0.5),
        METRIC,
    )
    assert front.rows[0].green_score == math.inf
    told = json.loads(json.dumps(front.to_json(), allow_nan=False))["rows"]
    assert [r["green_score"] for r in told] == [None, pytest.approx(95.0)]


def test_unmetered_inference_is_told_as_unknown(make_outcome: Callable[..., Outcome]) -> None:
    told = rank(
        "wine",
        [row(0, (0.9, 1.0, 1.0), make_outcome(0.9, 1.0, None))],
        SHARE,
        METRIC,
    )
    phases: dict[str, Any] = told.to_json()["rows"][0]["phases"]
    assert (phases["inference_joules"], phases["kind"]) == (None, "unavailable")
    assert phases["training_kwh"] == pytest.approx(1.0)


def test_training_is_the_sum_of_its_phases(make_outcome: Callable[..., Outcome]) -> None:
    outcome = make_outcome(0.9, 1.0, 1e-5)
    prune = replace(outcome.phases["train"], joules=0.5 * JOULES_PER_KWH)
    outcome = replace(outcome, phases={**outcome.phases, "prune": prune})
    told = rank("wine", [row(0, (0.9, 1.0, 1.0), outcome)], SHARE, METRIC).to_json()
    phases = told["rows"][0]["phases"]
    assert phases["training_kwh"] == pytest.approx(1.5)
    assert phases["making_kwh"] == pytest.approx({"train": 1.0, "prune": 0.5})


def test_baseline_is_the_most_accurate_untouched_one(
    make_outcome: Callable[..., Outcome],
) -> None:
    def done(number: int, accuracy: float, energy: float, tried: Candidate) -> ScoredTrial:
        outcome = make_outcome(accuracy, 1e-3, 1e-5)
        trial = row(number, (accuracy, energy, 1.0), outcome, tried=tried)
        return finished(trial, Floor(SHARE, 1.0, METRIC))

    one, two, three = candidate(1), candidate(2), candidate(3)
    keys = [one.key, two.key, three.key]
    quantized = replace(one, precision=Precision(8))
    tries = [
        done(0, 0.80, 1.0, one),
        done(1, 0.90, 3.0, two),
        done(2, 0.99, 0.1, quantized),
        done(3, 0.90, 2.0, three),
    ]
    found = baseline_of(tries, keys, METRIC)
    assert found is not None
    assert found.trial == 3  # as accurate as trial 1, for less energy
    assert baseline_of(tries, [one.key], METRIC) == tries[0]
    assert baseline_of(tries, [candidate(9).key], METRIC) is None
    assert baseline_of([], keys, METRIC) is None
    assert found.rank == 0


def test_hypervolume_is_measured_from_chance_at_the_price_of_the_dearest_baseline() -> None:
    assert corners([(0.9, 4.0, 1.0), (0.95, 3.0, 2.0)], Metric("accuracy", 0.25)) == Corners(
        worst=(0.25, 4.0, 2.0), best=(1.0, 0.0, 0.0)
    )
    assert corners([], METRIC) is None


def test_errors_are_minimised(make_outcome: Callable[..., Outcome]) -> None:
    metric = Metric("rmse", 10.0, "in units of 'dose'")
    values = [(4.0, 9.0, 9.0), (2.0, 8.0, 8.0), (2.05, 2.0, 2.0), (9.0, 1.0, 1.0), (11.0, 0.5, 0.5)]
    trials = [row(n, one, make_outcome(*one)) for n, one in enumerate(values)]
    front = rank("dose", trials, Tolerance(max_drop=0.01), metric)
    assert [r.trial for r in front.rows] == [2, 1, 3, 4]
    assert [r.eligible for r in front.rows] == [True, True, False, False]
    assert [r.green_score for r in front.rows[:2]] == pytest.approx([79.5 / 2, 10])
    assert front.most_accurate is not None
    assert front.most_accurate.trial == 1
    told = json.loads(json.dumps(front.to_json(), allow_nan=False))
    assert told["objectives"] == ["rmse", "energy_kwh", "co2_kg"]
    assert told["metric"]["direction"] == "minimize"
    assert "floor_accuracy" not in told
    assert "accuracy" not in told["rows"][0]
    assert (told["rows"][0]["metric"], told["rows"][0]["score"]) == ("rmse", 2.05)
    assert corners([(4.0, 9.0, 9.0)], metric) == Corners((10.0, 9.0, 9.0), (0.0, 0.0, 0.0))
    assert baseline_of(front.rows, [r.candidate.key for r in front.rows], metric) == front.rows[1]


def test_an_ensemble_asks_no_more_of_others(make_outcome: Callable[..., Outcome]) -> None:
    """The allowed drop is told from the best model that answers by itself."""
    single, frugal = candidate(1), candidate(2)
    joined = replace(single, others=(Ensemble.of([frugal.to_json()]),))
    vectors = [(0.95, 2.0, 2.0), (0.942, 1.0, 1.0), (0.96, 3.0, 3.0)]
    rows = [
        row(number, vector, make_outcome(vector[0], 1e-3, 1e-5), tried=tried)
        for number, (vector, tried) in enumerate(
            zip(vectors, (single, frugal, joined), strict=True)
        )
    ]
    front = rank("s", rows, Tolerance(max_drop=0.01), METRIC)
    assert front.floor is not None
    assert front.floor.best == 0.95
    assert front.greenest is not None
    assert front.greenest.trial == 1
    assert front.most_accurate is not None
    assert front.most_accurate.trial == 2
    assert all(each.eligible for each in front.rows)
    # Where nothing else is left, it is measured by itself.
    alone = rank("s", rows[2:], Tolerance(max_drop=0.01), METRIC)
    assert alone.floor is not None
    assert alone.floor.best == 0.96

"""How sure it is that a model is accurate enough, and what is said where it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.resampling import packed, resampled_scores
from greenfront.objectives.scores import Tolerance
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.studies.analysis.ranking.front import Front, rank
from greenfront.studies.analysis.scores.eligibility import within_drop_probability
from greenfront.studies.analysis.words.choice import beats, warnings
from greenfront.studies.store.trials import NetworkTrial, Trial

METRIC = Metric("accuracy", 0.1)

POINT = Tolerance(max_drop=0.01)
EXAMPLES = 1000


def right(wrong: range) -> NDArray[np.bool_]:
    found = np.ones(EXAMPLES, dtype=bool)
    found[wrong] = False
    return found


def resampled(found: NDArray[np.bool_]) -> str:
    strata = np.zeros(len(found), dtype=np.int64)
    return packed(resampled_scores(lambda chosen: float(found[chosen].mean()), strata))


@pytest.fixture
def judged(make_outcome: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """An outcome by the examples that it has wrong."""

    def make(wrong: range) -> Outcome:
        found = right(wrong)
        outcome = make_outcome(float(found.mean()), 1e-3, 1e-5)
        return replace(outcome, resampled=resampled(found))

    return make


@pytest.fixture
def front(judged: Callable[..., Outcome]) -> Callable[..., Front]:
    """A front by (examples that a trial has wrong, energy)."""

    def make(*trials: tuple[range, float]) -> Front:
        rows: list[NetworkTrial] = []
        for number, (wrong, energy) in enumerate(trials):
            outcome = judged(wrong)
            tried = Candidate(ArchitectureChoice("mlp", (("depth", number),)))
            values = (outcome.score, energy, 0.1 * energy)
            rows.append(
                Trial(number, number, tried.key, "complete", tried, values, outcome, None, 0.0, 1.0)
            )
        return rank("study", rows, POINT, METRIC)

    return make


def test_what_both_have_wrong_does_not_count(judged: Callable[..., Outcome]) -> None:
    best = judged(range(100))
    # Alone, each accuracy scatters by almost a point; five more mistakes are within one for sure.
    assert within_drop_probability(judged(range(105)), best, POINT, METRIC) > 0.95
    apart = within_drop_probability(judged(range(200, 305)), best, POINT, METRIC)
    assert apart is not None
    assert 0.55 < apart < 0.8
    assert within_drop_probability(best, best, Tolerance(max_drop=0.0), METRIC) == 1
    assert within_drop_probability(judged(range(140)), best, POINT, METRIC) < 0.01
    assert within_drop_probability(judged(range(140)), best, Tolerance(share=0.9), METRIC) == 1


def test_at_the_very_edge_it_is_a_coin_toss(judged: Callable[..., Outcome]) -> None:
    edge = within_drop_probability(judged(range(200, 310)), judged(range(100)), POINT, METRIC)
    assert edge is not None
    assert 0.4 < edge < 0.6


def test_older_trials_are_unknown(
    judged: Callable[..., Outcome], make_outcome: Callable[..., Outcome]
) -> None:
    old, new = make_outcome(0.9, 1e-3, 1e-5), judged(range(100))
    assert within_drop_probability(old, new, POINT, METRIC) is None
    assert within_drop_probability(new, old, POINT, METRIC) is None


def test_the_front_says_it_and_warns(front: Callable[..., Front]) -> None:
    # Trial 1 has just few enough mistakes, on other examples than the best; trial 2 nearly none.
    found = front((range(100), 9.0), (range(200, 307), 1.0), (range(102), 5.0), (range(300), 0.1))
    rows = {row.trial: row for row in found.rows}
    assert rows[0].within_drop == 1
    assert rows[3].within_drop == 0
    assert rows[2].within_drop > 0.95
    assert found.greenest is rows[1]
    (said,) = warnings(found, beaten=True)
    assert said.startswith(
        "Trial 1 is at most 1 point below the most accurate single model in only "
    )
    assert said.endswith("; trial 2 is in 100%.")
    told = found.to_json()["rows"]
    assert [row["within_drop_probability"] for row in told] == [r.within_drop for r in found.rows]
    sure = front((range(100), 9.0), (range(101), 1.0))
    assert warnings(sure, beaten=True) == []
    assert warnings(sure, beaten=False) == [
        "Neither accuracy nor energy that trial 1 gains on the untouched baseline is sure: "
        "measured again, it may be gone."
    ]


def test_what_is_unlikely_is_not_eligible(front: Callable[..., Front]) -> None:
    found = front((range(100), 9.0), (range(200, 310), 1.0))
    edge = next(row for row in found.rows if row.trial == 1)
    assert edge.within_drop is not None
    assert edge.eligible == (edge.within_drop >= 0.5)
    if not edge.eligible:
        assert str(edge.objection).startswith("accurate enough in only 4")


def test_better_by_luck_does_not_beat_the_baseline(front: Callable[..., Front]) -> None:
    row = front((range(100), 9.0)).rows[0]
    baseline = replace(row, trial=7, score=0.89, energy_kwh=10.0)
    assert beats(row, baseline, METRIC)
    assert beats(replace(row, beats_baseline=0.97), baseline, METRIC)
    assert not beats(replace(row, beats_baseline=0.6), baseline, METRIC)

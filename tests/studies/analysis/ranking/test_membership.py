from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome, Repeat
from greenfront.objectives.readings import Reading
from greenfront.objectives.resampling import packed, resampled_scores
from greenfront.objectives.scores import Scoring, Tolerance
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.studies.analysis.ranking.front import Front, ScoredTrial, rank
from greenfront.studies.analysis.ranking.membership import residuals, with_membership
from greenfront.studies.analysis.scores.medians import inferences
from greenfront.studies.analysis.scores.rescore import rescored
from greenfront.studies.store.trials import NetworkTrial, Trial

SCORING = Scoring(3.6e6, CarbonModel(Intensity(100.0, "here", "stated")))

Made = tuple[Front, list[NetworkTrial], dict[str, tuple[Reading, ...]]]


def reading(joules: float) -> Reading:
    return Reading(joules, joules, joules, "measured", "counter", 0.0, 0.0)


def with_mistakes(rows: Sequence[NetworkTrial]) -> list[NetworkTrial]:
    """Two trials on 200 examples: the second has one mistake more, among others."""
    strata = np.zeros(200, dtype=np.int64)
    trials = []
    for row, mistakes in zip(rows, (range(20), range(100, 121)), strict=True):
        wrong = np.zeros(200)
        wrong[mistakes] = 1
        scores = resampled_scores(lambda chosen, w=wrong: 1 - float(w[chosen].mean()), strata)
        assert row.outcome is not None
        trials.append(replace(row, outcome=replace(row.outcome, resampled=packed(scores))))
    return trials


@pytest.fixture
def front_of(make_outcome: Callable[..., Outcome]) -> Callable[..., Made]:
    """From (accuracy, joules a prediction of each measurement) to the front of these trials."""

    def make(*trials: tuple[float, Sequence[float]]) -> Made:
        rows, repeats = [], {}
        for number, (accuracy, joules) in enumerate(trials):
            tried = Candidate(ArchitectureChoice("mlp", (("depth", number),)))
            outcome = make_outcome(accuracy, 1e-6, joules[0])
            outcome = replace(outcome, inference=reading(joules[0]))
            values = SCORING.values(outcome)
            rows.append(
                Trial(
                    number,
                    number,
                    tried.key,
                    "complete",
                    tried,
                    values,
                    outcome,
                    None,
                    0.0,
                    1.0,
                )
            )
            if joules[1:]:
                repeats[tried.key] = tuple(
                    Repeat(accuracy, reading(value), 0.001) for value in joules[1:]
                )
        readings = inferences(rows, repeats)
        merged = rescored(rows, SCORING, repeats)
        return (
            rank("study", merged, Tolerance(share=0.5), Metric("accuracy", 0.1)),
            merged,
            readings,
        )

    return make


def judged(made: Made) -> dict[int, tuple[float | None, bool]]:
    front, rows, readings = made
    found = with_membership(front, rows, SCORING, readings)
    return {row.trial: (row.probability, row.tied) for row in found.rows}


def test_far_apart_is_certain(front_of: Callable[..., Made]) -> None:
    found = judged(
        front_of((0.9, [1.0, 1.01, 0.99]), (0.8, [0.1, 0.101, 0.099]), (0.7, [5.0, 5.1, 4.9]))
    )
    assert found == {0: (1.0, False), 1: (1.0, False)}


def test_two_that_cannot_be_told_apart_share_the_place(front_of: Callable[..., Made]) -> None:
    # Equally accurate, one 0.1 % cheaper in the median, with a spread of 10 %.
    made = front_of((0.9, [1.0, 0.9, 1.1]), (0.9, [0.999, 0.9, 1.1]), (0.5, [0.1, 0.11, 0.09]))
    found = judged(made)
    probability, _ = found[1]
    assert probability is not None
    assert 0.3 < probability < 0.7
    assert found[2][0] == 1.0


def test_scores_within_the_noise_are_ties(front_of: Callable[..., Made]) -> None:
    # Better accuracy for as much more energy: the Green Scores agree to half a percent.
    noisy = front_of((0.90, [1.0, 1.1, 0.9]), (0.81, [0.905, 1.0, 0.8]))
    exact = front_of((0.90, [1.0, 1.001, 0.999]), (0.81, [0.95, 0.951, 0.949]))
    assert sorted(tied for _, tied in judged(noisy).values()) == [False, True]
    assert not any(tied for _, tied in judged(exact).values())


def test_one_measurement_says_nothing(front_of: Callable[..., Made]) -> None:
    assert judged(front_of((0.9, [1.0]), (0.8, [0.1]))) == {0: (None, False), 1: (None, False)}


def test_a_trial_measured_once_borrows_the_spread_of_the_others(
    front_of: Callable[..., Made],
) -> None:
    # Trial 1 is dominated as measured, but within the noise of what dominates it.
    made = front_of((0.9, [1.0, 1.2, 0.8]), (0.9, [1.05]), (0.6, [0.1, 0.12, 0.08]))
    probability, _ = judged(made)[0]
    assert probability is not None
    assert 0.4 < probability < 0.95


def test_examples_count_as_well_as_readings(front_of: Callable[..., Made]) -> None:
    """Two files of one accuracy, of which each is right where the other is wrong."""
    front, rows, readings = front_of((0.9, [1.0, 1.01, 0.99]), (0.9, [2.0, 2.01, 1.99]))
    strata, wrong = np.zeros(200, dtype=np.int64), np.arange(200) < 20
    assert [row.trial for row in front.rows] == [0]

    def with_examples(second: np.ndarray) -> list[NetworkTrial]:
        found = []
        for row, mistakes in zip(rows, (wrong, second), strict=True):
            scores = resampled_scores(
                lambda chosen, m=mistakes: 1 - float(m[chosen].mean()), strata
            )
            assert row.outcome is not None
            found.append(replace(row, outcome=replace(row.outcome, resampled=packed(scores))))
        return found

    def first(second: np.ndarray) -> ScoredTrial:
        trials = with_examples(second)
        found = with_membership(front, trials, SCORING, readings, baseline=1)
        return found.rows[0]

    # Dearer and on the same examples as accurate: it never takes the place.
    same = first(wrong)
    assert (same.probability, same.beats_baseline) == (1.0, 1.0)
    # On others it is the more accurate one in about half of the draws, but never cheaper.
    assert first(wrong[::-1]).probability == 1.0


def test_a_trial_that_other_examples_would_favour_is_a_contender(
    front_of: Callable[..., Made],
) -> None:
    # The second costs the same and has one mistake more, among others.
    front, rows, readings = front_of((0.9, [1.0, 1.01, 0.99]), (0.895, [1.0, 1.01, 0.99]))
    trials = with_mistakes(rows)
    (member,) = with_membership(front, trials, SCORING, readings).rows
    assert member.probability is not None
    assert 0.6 < member.probability < 0.95
    (known,) = with_membership(front, rows, SCORING, readings).rows
    assert known.probability == 1.0


def test_what_shares_a_graph_shares_its_noise(front_of: Callable[..., Made]) -> None:
    """Of one graph's files, that which cost less to make is cheaper, however readings scatter."""
    noisy = [1.0, 1.3, 0.8, 1.1, 0.9, 1.2, 0.95]
    _, rows, readings = front_of((0.9, noisy), (0.89, noisy))

    def second(graphs: Sequence[str]) -> float | None:
        trials = []
        for row, graph, share in zip(rows, graphs, (1.0, 0.5), strict=True):
            assert row.outcome is not None
            train = reading(share * (row.outcome.training.joules or 0.0))
            outcome = replace(row.outcome, graph=graph, phases={"train": train})
            trials.append(replace(row, outcome=outcome, values=SCORING.values(outcome)))
        front = rank("study", trials, Tolerance(share=0.5), Metric("accuracy", 0.1))
        found = with_membership(front, trials, SCORING, readings)
        return {row.trial: row.probability for row in found.rows}[1]

    assert second(["one", "one"]) == 1.0
    apart = second(["one", "other"])
    assert apart is not None
    assert apart < 0.9


def test_examples_can_be_left_aside(front_of: Callable[..., Made]) -> None:
    front, rows, readings = front_of((0.9, [1.0, 1.01, 0.99]), (0.895, [1.0, 1.01, 0.99]))
    trials = with_mistakes(rows)
    (with_them,) = with_membership(front, trials, SCORING, readings).rows
    (without,) = with_membership(front, trials, SCORING, readings, examples=False).rows
    assert with_them.probability is not None
    assert without.probability is not None
    assert with_them.probability < without.probability == 1.0


def test_it_says_the_same_twice(front_of: Callable[..., Made]) -> None:
    made = front_of((0.9, [1.0, 1.2, 0.8]), (0.9, [1.05, 1.0, 1.3]), (0.6, [0.1, 0.12, 0.08]))
    assert judged(made) == judged(made)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=9), st.floats(0.01, 100))
def test_residuals_do_not_depend_on_the_unit(joules: list[float], factor: float) -> None:
    once = residuals([[reading(value) for value in joules]])
    scaled = residuals([[reading(value * factor) for value in joules]])
    np.testing.assert_allclose(scaled, once, atol=1e-9)


def test_residuals_of_three() -> None:
    found = residuals([[reading(1.0), reading(2.0), reading(math.e)], [reading(7.0)]])
    widened = math.sqrt(3 / 2)
    np.testing.assert_allclose(found, [-widened * math.log(2), 0, widened * (1 - math.log(2))])

"""Means over folds, and what those are worth that were judged on one split alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contracts.reports import VIEWS
from greenfront.objectives.outcome import Decisions, FoldScore, Outcome
from greenfront.objectives.resampling import DRAWS, packed, unpacked
from greenfront.studies.analysis.choosing.advice import advice
from greenfront.studies.analysis.ranking.optimism import compared, selection_optimism
from greenfront.studies.analysis.scores.cross_validated import (
    is_cross_validated,
    on_folds,
    on_own_split,
)
from greenfront.studies.analysis.scores.interval import score_interval, share_interval

VIEW = VIEWS["usual"]


def resampled(mean: float, seed: int) -> str:
    return packed(np.random.default_rng(seed).normal(mean, 0.03, DRAWS).astype(np.float32))


def judged(*scores: float, seed: int = 0) -> Outcome:
    """A model with these scores of folds of 100 examples each; one is its own split alone."""
    folds = [FoldScore(each, 100, resampled(each, seed + at)) for at, each in enumerate(scores)]
    return replace(
        VIEW.complete[0].outcome,
        score=scores[0],
        resampled=folds[0].resampled,
        decisions=Decisions((60, 40)),
        folds=tuple(folds) if len(folds) > 1 else (),
    )


def test_nothing_changes_where_nothing_was_cross_validated() -> None:
    outcomes = {0: judged(0.8), 1: judged(0.7)}
    assert on_folds(outcomes) == outcomes
    assert on_folds({}) == {}


def test_a_score_is_the_mean_over_folds_and_its_resamples_are_of_all() -> None:
    one, other = judged(0.8, 0.7, 0.75, 0.75), judged(0.7, 0.7, 0.7, 0.7, seed=9)
    found = on_folds({0: one, 1: other})
    assert found[0].score == pytest.approx(0.75)
    assert found[0].examples == 400
    assert is_cross_validated(found[0])
    assert found[0].resampled is not None
    drawn = unpacked(found[0].resampled)
    # Of four independent means the spread is half of each one's.
    assert drawn.mean() == pytest.approx(0.75, abs=0.005)
    assert drawn.std() == pytest.approx(0.03 / 2, rel=0.15)
    # The k-th fold's draws come k later, of all models alike: pairs stay pairs.
    texts = [fold.resampled or "" for fold in one.folds]
    wanted = np.mean([np.roll(unpacked(text), at) for at, text in enumerate(texts)], axis=0)
    np.testing.assert_allclose(drawn, wanted, atol=1e-6)
    assert on_folds(found) == found
    assert on_own_split(found[0]) == replace(one, folds=())


def test_one_split_alone_is_levelled_by_what_the_others_have_lost() -> None:
    outcomes = {
        0: judged(0.80, 0.74, 0.74, 0.76),  # lost 4 points
        1: judged(0.78, 0.76, 0.76, 0.78),  # lost 1 point
        2: judged(0.79),
        3: judged(0.60),
        4: judged(0.70, 0.60),  # interrupted: the others have gained half a point since two folds
    }
    found = on_folds(outcomes)
    assert [found[n].score for n in (0, 1)] == pytest.approx([0.76, 0.77])
    assert found[2].score == pytest.approx(0.79 - 0.025)
    assert found[2].resampled is not None
    own = unpacked(judged(0.79).resampled or "")
    np.testing.assert_allclose(unpacked(found[2].resampled), own - 0.025, atol=1e-6)
    assert not is_cross_validated(found[2])
    assert len(found[2].folds) == 1
    assert on_own_split(found[2]) == outcomes[2]
    # Within what any model scores: no metric is left.
    assert found[3].score == pytest.approx(0.60)
    gained = np.mean([0.76 - 0.77, 0.77 - 0.77])
    assert found[4].score == pytest.approx(0.65 + gained)
    assert on_folds(found) == found


def test_an_interval_counts_the_examples_of_all_folds() -> None:
    found = on_folds({0: judged(0.8, 0.7)})[0]
    assert score_interval(found, VIEW.metric) == share_interval(found.score, 200)
    assert score_interval(on_own_split(found), VIEW.metric) == share_interval(0.8, 100)


def test_luck_is_that_among_the_cross_validated() -> None:
    rows = [
        replace(VIEW.complete[0], trial=n, score=each.score, outcome=each)
        for n, each in on_folds(
            {n: judged(*[0.75] * 4, seed=10 * n) for n in range(6)}
            | {n: judged(0.75, seed=10 * n) for n in range(6, 9)}
        ).items()
    ]
    assert [row.trial for row in compared(rows)] == list(range(6))
    # The expected maximum of six normal deviates is 1.267 deviations, of half the spread each.
    assert selection_optimism(rows, VIEW.metric) == pytest.approx(1.267 * 0.015, rel=0.25)


def test_a_reader_is_told_which_scores_are_means() -> None:
    first, *others = VIEW.complete
    crossed = on_folds({0: judged(0.8, 0.7, 0.7, 0.7), 1: judged(0.7)})
    complete = (replace(first, outcome=crossed[0]), replace(others[0], outcome=crossed[1]))
    told = " ".join(advice(replace(VIEW, complete=complete)))
    assert "1 model of 2 cross-validated on 4 folds (400 examples): their scores are means" in told
    assert "modelled, what they scored on one split less what these have lost" in told

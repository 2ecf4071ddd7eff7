"""Thresholds are the best there are, and decisions are counted."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.judging import Judging
from greenfront.objectives.metric_scores import decided
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Decisions
from greenfront.objectives.resampling import DRAWS, resamples, unpacked
from greenfront.objectives.threshold import CRITERIA, best_threshold

JUDGES = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "f1_macro": lambda labels, given: sk.f1_score(labels, given, average="macro", zero_division=0),
    "roc_auc": sk.balanced_accuracy_score,
    "average_precision": lambda labels, given: sk.f1_score(labels, given, zero_division=0),
}


@given(
    st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=40).filter(
        lambda pairs: len({hit for _, hit in pairs}) == 2
    ),
    st.sampled_from(sorted(JUDGES)),
)
def test_no_other_threshold_decides_better(pairs, name) -> None:
    margins = np.array([float(margin) for margin, _ in pairs])
    labels = np.array([int(hit) for _, hit in pairs])
    answers = np.stack([np.zeros(len(margins)), margins], axis=1)
    judge = JUDGES[name]
    found = judge(labels, decided(answers, best_threshold(margins, labels == 1, CRITERIA[name][1])))
    cuts = np.arange(-5, 6) + 0.5
    best = max(judge(labels, (margins >= cut).astype(int)) for cut in cuts)
    assert found == pytest.approx(best)


def test_of_equally_good_thresholds_the_one_nearest_to_even_odds_is_taken() -> None:
    _, criterion = CRITERIA["balanced_accuracy"]
    hits = np.array([False, False, True, True])
    assert best_threshold(np.array([-4.0, -3.0, 3.0, 4.0]), hits, criterion) == 0.5
    # In the middle between the answers on either side.
    found = best_threshold(np.array([-6.0, -5.0, -3.0, 4.0]), hits, criterion)
    assert found == pytest.approx(1 / (1 + np.exp(4)))


def test_answers_that_are_too_sure_have_a_threshold_nevertheless() -> None:
    margins, hits = np.array([900.0, 800.0, -700.0]), np.array([True, True, False])
    threshold = best_threshold(margins, hits, CRITERIA["f1_macro"][1])
    answers = np.stack([np.zeros(3), margins], axis=1)
    np.testing.assert_array_equal(decided(answers, threshold), [1, 1, 0])


ANSWERS = np.array([[2.0, 0], [2, 0], [2, 1], [2, 1], [1, 0.9]], dtype=np.float32)
LABELS = np.array([0, 0, 1, 0, 1])


def test_accuracy_decides_for_the_highest_logit_unless_told_otherwise() -> None:
    metric = Metric("accuracy", 0.6)
    judged = Judging(metric).judge(ANSWERS, LABELS)
    assert judged.score == 0.6
    assert judged.decisions == Decisions((5, 0), None, ((3, 0), (2, 0)))
    assert judged.decisions.never == (1,)
    tuned = Judging(metric, "tuned").judge(ANSWERS, LABELS)
    assert tuned.score == 0.8
    assert tuned.decisions is not None
    assert tuned.decisions.confusion == ((3, 0), (1, 1))


def test_metrics_of_the_rare_class_come_with_a_tuned_threshold() -> None:
    judged = Judging(Metric("roc_auc", 0.5)).judge(ANSWERS, LABELS)
    assert judged.score == pytest.approx(5.5 / 6)
    assert judged.decisions is not None
    assert judged.decisions.confusion == ((2, 1), (0, 2))
    threshold = judged.decisions.threshold
    assert threshold is not None
    assert 1 / (1 + np.exp(2)) < threshold < 1 / (1 + np.exp(1))
    stated = Judging(Metric("roc_auc", 0.5), 0.9).judge(ANSWERS, LABELS)
    assert stated.score == judged.score
    assert stated.decisions == Decisions((5, 0), 0.9, ((3, 0), (2, 0)))


def test_more_than_two_classes_have_no_threshold_and_many_no_confusion() -> None:
    labels = np.arange(21)
    judged = Judging(Metric("balanced_accuracy", 1 / 21)).judge(np.eye(21), labels)
    assert judged.score == 1
    assert judged.decisions == Decisions((1,) * 21)


def test_one_class_alone_is_no_ground_for_a_threshold() -> None:
    judged = Judging(Metric("f1_macro", 0.5)).judge(ANSWERS, np.zeros(5, dtype=np.int64))
    assert judged.decisions is not None
    assert judged.decisions.threshold is None


def test_a_ranking_of_very_many_answers_is_not_resampled() -> None:
    labels = np.arange(450) % 450
    judged = Judging(Metric("roc_auc", 0.5)).judge(np.eye(450), labels)
    assert judged.score == 1
    assert judged.resampled is None


def test_numbers_have_no_decisions() -> None:
    judged = Judging(Metric("mae", 1.0)).judge(np.array([[1.0], [2.0]]), np.array([1.0, 4.0]))
    assert (judged.score, judged.decisions) == (1.0, None)
    assert judged.resampled is not None
    resampled = unpacked(judged.resampled)
    assert len(resampled) == DRAWS
    assert set(resampled) == {0.0, 1.0, 2.0}


def test_resamples_are_scored_with_the_same_threshold() -> None:
    judging = Judging(Metric("balanced_accuracy", 0.5))
    judged = judging.judge(ANSWERS, LABELS)
    assert judged.decisions is not None
    assert judged.resampled is not None
    given = decided(ANSWERS, judged.decisions.threshold)
    wanted = [
        sk.balanced_accuracy_score(LABELS[chosen], given[chosen]) for chosen in resamples(LABELS)
    ]
    np.testing.assert_allclose(unpacked(judged.resampled), wanted, rtol=1e-6)

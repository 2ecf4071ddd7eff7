"""Metrics against scikit-learn and closed forms, and what they have in common."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import softmax

from greenfront.errors import UsageError
from greenfront.objectives.metric_scores import decided, positive_margin
from greenfront.objectives.metrics import METRIC_NAMES, Metric, study_metric
from greenfront.objectives.tasks.task import TargetScale, TaskFacts

RNG = np.random.default_rng(0)
OF_NUMBERS = ("r2", "rmse", "mae", "spearman")
OF_CLASSES = tuple(name for name in METRIC_NAMES if name not in OF_NUMBERS)
SCALE = TargetScale(10.0, 2.0, constant_rmse=2.5, constant_mae=1.5, name="dose")


def facts(counts: tuple[int, ...] = (93, 7), majority: float = 0.93) -> TaskFacts:
    names = tuple("abcdefgh"[: len(counts)])
    by_split = {"train": counts, "evaluation": counts}
    return TaskFacts("toy", (2,), names, {"train": 100}, majority, "f00d", class_counts=by_split)


NUMBERS = TaskFacts("toy", (2,), (), {"train": 100}, 0.0, "f00d", target=SCALE)


def classes(count: int, examples: int = 300) -> tuple[np.ndarray, np.ndarray]:
    labels = np.concatenate([np.arange(count), RNG.integers(0, count, examples - count)])
    answers = RNG.normal(size=(examples, count)) + 1.5 * np.eye(count)[labels]
    return answers.astype(np.float32), labels


@pytest.mark.parametrize("count", [2, 4])
def test_scores_of_classes_are_those_of_scikit_learn(count: int) -> None:
    answers, labels = classes(count)
    given, shares = answers.argmax(-1), softmax(answers.astype(np.float64), axis=1)
    one_hot = np.eye(count)[labels]
    wanted = {
        "accuracy": sk.accuracy_score(labels, given),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, given),
        "f1_macro": sk.f1_score(labels, given, average="macro"),
    }
    if count == 2:
        wanted["roc_auc"] = sk.roc_auc_score(labels, shares[:, 1])
        wanted["average_precision"] = sk.average_precision_score(labels, shares[:, 1])
    else:
        wanted["roc_auc"] = sk.roc_auc_score(labels, shares, multi_class="ovr")
        wanted["average_precision"] = sk.average_precision_score(one_hot, shares, average="macro")
    for name in OF_CLASSES:
        assert Metric(name, 0.0).score(answers, labels) == pytest.approx(wanted[name]), name


def test_scores_of_numbers_are_those_of_scikit_learn() -> None:
    labels = RNG.normal(size=200)
    answers = (labels + RNG.normal(size=200)).astype(np.float32)[:, None]
    wanted = {
        "r2": sk.r2_score(labels, answers),
        "rmse": np.sqrt(sk.mean_squared_error(labels, answers)),
        "mae": sk.mean_absolute_error(labels, answers),
        "spearman": stats.spearmanr(labels, answers[:, 0]).statistic,
    }
    for name in OF_NUMBERS:
        assert Metric(name, 1.0).score(answers, labels) == pytest.approx(wanted[name]), name


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_a_faultless_model_scores_perfectly(name) -> None:
    metric = study_metric(NUMBERS if name in OF_NUMBERS else facts(), name)
    labels = np.array([0, 1, 1, 0, 0])
    answers = labels[:, None].astype(np.float32)
    if not metric.of_numbers:
        answers = np.concatenate([1 - 2 * answers, 2 * answers - 1], axis=1)
    assert metric.score(answers, labels) == pytest.approx(metric.perfect)
    assert metric.has_learnt(metric.perfect)
    assert not metric.has_learnt(metric.nothing)
    assert metric.worse_by(metric.nothing, than=metric.perfect) > 0
    assert metric.direction == ("minimize" if name in ("rmse", "mae") else "maximize")
    assert metric.heading.endswith("↓" if name in ("rmse", "mae") else "↑")
    assert metric.percent(metric.perfect) == pytest.approx(100)
    assert metric.percents(np.array([metric.perfect])) == pytest.approx(100)


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize("counts", [(93, 7), (20, 50, 30), (40, 60)])
def test_what_a_model_scores_that_always_gives_the_most_frequent_class(name, counts) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    majority = int(np.argmax(counts))
    answers = np.tile(np.eye(len(counts), dtype=np.float32)[majority], (100, 1))
    metric = study_metric(facts(counts, max(counts) / 100), name)
    assert metric.nothing == pytest.approx(metric.score(answers, labels)), name


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_what_a_model_scores_that_always_gives_the_same_number(name) -> None:
    labels = RNG.exponential(size=101)
    mean, middle = labels.mean(), float(np.median(labels))
    scale = TargetScale(
        mean, labels.std(), float(labels.std()), float(np.abs(labels - middle).mean())
    )
    told = TaskFacts("toy", (2,), (), {"train": 101}, 0.0, "f00d", target=scale)
    metric = study_metric(told, name)
    answers = np.full((101, 1), middle if name == "mae" else mean)
    assert metric.score(answers, labels) == pytest.approx(metric.nothing, abs=1e-9)


def test_negative_r2_counts_nothing_and_errors_by_what_they_save() -> None:
    r2, rmse = study_metric(NUMBERS, "r2"), study_metric(NUMBERS, "rmse")
    assert r2.percent(-3.0) == 0
    assert r2.percent(0.25) == 25
    assert rmse.percent(2.0) == pytest.approx(20)
    assert rmse.percent(5.0) == 0
    np.testing.assert_allclose(rmse.percents(np.array([2.0, 5.0])), [20, 0])
    assert rmse.worse_by(2.5, than=2.0) == 0.5
    assert r2.worse_by(0.5, than=0.75) == 0.25


def test_scores_are_written_with_their_unit() -> None:
    assert study_metric(NUMBERS, "rmse").text(12.3456) == "12.3 in units of 'dose'"
    assert study_metric(NUMBERS, "r2").text(-0.5) == "−0.5"
    assert study_metric(facts(), "roc_auc").text(0.8125) == "0.812"
    assert study_metric(facts()).text(0.987) == "98.7%"
    assert [study_metric(facts()).text(score) for score in (0.9996, 1.0, 0.0)] == [
        "99.96%",
        "100%",
        "0.0%",
    ]


def test_the_usual_metric_follows_from_the_target() -> None:
    assert study_metric(facts()).name == "accuracy"
    assert study_metric(NUMBERS).name == "r2"
    with pytest.raises(UsageError, match=r"metric 'r2' does not fit task 'toy', .* 2 classes: "):
        study_metric(facts(), "r2")
    with pytest.raises(UsageError, match=r"'accuracy' .* whose target is a number: take .*'rmse'"):
        study_metric(NUMBERS, "accuracy")


def test_the_positive_class_is_the_rarer_one_or_the_one_that_is_named() -> None:
    assert study_metric(facts((93, 7))).positive == 1
    assert study_metric(facts((7, 93))).positive == 0
    assert study_metric(facts((50, 50))).positive == 1
    assert study_metric(facts((7, 93)), positive="b").positive == 1
    rare = study_metric(facts((7, 93)), "average_precision")
    assert rare.nothing == pytest.approx(0.07)
    for told, name in ((facts(), "x"), (facts((5, 5, 5)), "a"), (NUMBERS, "a")):
        with pytest.raises(UsageError, match=r"\[objectives\] positive must name one of two"):
            study_metric(told, positive=name)


def test_studies_of_before_have_accuracy() -> None:
    before = TaskFacts("toy", (2,), ("a", "b"), {"train": 3}, 0.6, "f00d")
    metric = study_metric(before)
    assert (metric.name, metric.nothing, metric.positive) == ("accuracy", 0.6, 1)


@given(st.integers(0, 1000), st.floats(0.1, 10), st.floats(-5, 5), st.sampled_from(METRIC_NAMES))
def test_invariances(seed, factor, shift, name) -> None:
    random = np.random.default_rng(seed)
    order = random.permutation(60)
    metric = Metric(name, 1.0)
    if metric.of_numbers:
        labels = random.normal(size=60)
        answers = labels[:, None] + random.normal(size=(60, 1))
        moved, changed = factor * answers + shift, factor * labels + shift
        scaled = factor if name in ("rmse", "mae") else 1
    else:
        labels = np.concatenate([[0, 1, 2], random.integers(0, 3, 57)])
        answers = random.normal(size=(60, 3))
        # Logits mean the same when all of an example are raised alike.
        moved, changed, scaled = answers + shift * random.normal(size=(60, 1)), labels, 1
    score = metric.score(answers, labels)
    assert metric.score(answers[order], labels[order]) == pytest.approx(score)
    assert metric.score(moved, changed) == pytest.approx(scaled * score, rel=1e-6, abs=1e-9)


def test_answers_that_are_all_equal_have_no_order() -> None:
    metric = Metric("spearman", 0.0)
    assert metric.score(np.ones((4, 1)), np.arange(4.0)) == 0
    assert metric.score(np.arange(4.0)[:, None], np.ones(4)) == 0


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_answers_must_be_finite(name) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        Metric(name, 1.0).score(np.array([[0.0, np.nan]]), np.array([0]))


def test_decisions_by_a_threshold() -> None:
    odds = np.array([0.1, 0.3, 0.6])
    answers = np.stack([np.log(1 - odds), np.log(odds)], axis=1)
    np.testing.assert_array_equal(decided(answers), [0, 0, 1])
    np.testing.assert_array_equal(decided(answers, 0.2), [0, 1, 1])
    np.testing.assert_array_equal(decided(answers, 0.5, positive=0), [0, 0, 1])
    np.testing.assert_array_equal(decided(answers, 0.8, positive=0), [0, 1, 1])
    np.testing.assert_allclose(positive_margin(answers, 1), np.log(odds / (1 - odds)))
    np.testing.assert_allclose(positive_margin(answers, 0), -np.log(odds / (1 - odds)))

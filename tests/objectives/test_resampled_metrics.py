"""Scores on resamples are those of the metric on the examples of each."""

from __future__ import annotations

import numpy as np
import pytest

from greenfront.objectives.metrics import METRIC_NAMES, Metric
from greenfront.objectives.resampled_metrics import resampled_metric
from greenfront.objectives.resampling import DRAWS, resamples

OF_CLASSES = [n for n in METRIC_NAMES if not Metric(n, 0.5).of_numbers]
OF_NUMBERS = [n for n in METRIC_NAMES if Metric(n, 0.5).of_numbers]


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize("classes", [2, 4])
def test_of_classes(name: str, classes: int) -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, classes, 60)
    # Few distinct answers, so that many are ties; one class is seldom answered.
    answers = random.integers(-2, 3, (60, classes)).astype(np.float32)
    answers[np.arange(60), labels] += 1
    answers[:, 0] -= 2
    metric = Metric(name, 0.5, positive=0)  # type: ignore[arg-type]
    threshold = 0.3 if classes == 2 else None
    found = resampled_metric(metric, answers, labels, threshold)
    assert found.shape == (DRAWS,)
    for index, chosen in enumerate(resamples(labels)):
        if index % 10 == 0:
            wanted = metric.score(answers[chosen], labels[chosen], threshold)
            assert found[index] == pytest.approx(wanted, abs=1e-6)
    assert found.std() > 0.01


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_of_numbers(name: str) -> None:
    random = np.random.default_rng(4)
    labels = random.normal(1000, 3, 50)
    answers = (labels + random.normal(0, 1, 50)).reshape(-1, 1).astype(np.float32)
    metric = Metric(name, 3.0)  # type: ignore[arg-type]
    found = resampled_metric(metric, answers, labels)
    for index, chosen in enumerate(resamples(np.zeros(50, dtype=np.int64))):
        if index % 10 == 0:
            wanted = metric.score(answers[chosen], labels[chosen])
            assert found[index] == pytest.approx(wanted, abs=1e-6)


def test_a_target_that_does_not_vary_explains_nothing() -> None:
    metric = Metric("r2", 0.0)
    found = resampled_metric(metric, np.full((9, 1), 2.5), np.full(9, 2.0))
    assert set(found.tolist()) == {metric.score(np.full((9, 1), 2.5), np.full(9, 2.0))} == {0.0}

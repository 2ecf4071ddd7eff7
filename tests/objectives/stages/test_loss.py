"""The loss by the labels: classes, weighted classes, numbers; and by a teacher's answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from greenfront.objectives.stages.loss import PLAIN, Loss, quality
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.training import Training

LABELS = torch.tensor([0] * 6 + [1] * 2)
LOGITS = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
NUMBERS = torch.tensor([0.0, 1.0, -2.0, 4.0])
ANSWERS = torch.tensor([[0.5], [1.0], [-2.0], [1.0]])


def test_balanced_weights_are_inverse_to_the_frequency_and_1_on_average() -> None:
    loss = Loss.of(Training(class_weights="balanced"), LABELS, 2)
    assert loss.class_weights is not None
    torch.testing.assert_close(loss.class_weights, torch.tensor([8 / 12, 8 / 4]))
    assert float(loss.class_weights[LABELS].mean()) == pytest.approx(1)
    # Over the whole split this is torch's own weighted mean.
    wanted = functional.cross_entropy(LOGITS, LABELS, weight=loss.class_weights)
    torch.testing.assert_close(loss(LOGITS, LABELS), wanted)


def test_a_weighted_loss_does_not_depend_on_how_a_batch_is_divided() -> None:
    loss = Loss.of(Training(class_weights="balanced", label_smoothing=0.1), LABELS, 2)
    parts = [loss(LOGITS[part], LABELS[part]) for part in (slice(0, 4), slice(4, 8))]
    torch.testing.assert_close(loss(LOGITS, LABELS), torch.stack(parts).mean())


def test_what_is_not_asked_for_is_the_plain_loss() -> None:
    assert Loss.of(Training(), LABELS, 2) == PLAIN
    assert Loss.of(Training(class_weights="balanced"), NUMBERS, 1) == PLAIN
    torch.testing.assert_close(PLAIN(LOGITS, LABELS), functional.cross_entropy(LOGITS, LABELS))
    assert Loss(label_smoothing=0.3).judge == PLAIN


def test_numbers_by_squares_or_by_huber() -> None:
    assert float(PLAIN(ANSWERS, NUMBERS)) == pytest.approx((0.25 + 9) / 4)
    huber = Loss.of(Training(loss="huber"), NUMBERS, 1)
    assert float(huber(ANSWERS, NUMBERS)) == pytest.approx((0.125 + 2.5) / 4)
    assert huber.judge == huber


def test_numbers_are_taught_by_numbers() -> None:
    teacher = ANSWERS + 2
    given = PLAIN.taught(ANSWERS, teacher, NUMBERS, Distillation(1.0, 0.25))
    assert float(given) == pytest.approx(0.25 * 4 + 0.75 * (0.25 + 9) / 4)
    heat = replace(Distillation(1.0, 0.25), temperature=7.0)
    torch.testing.assert_close(PLAIN.taught(ANSWERS, teacher, NUMBERS, heat), given)


def test_quality() -> None:
    assert quality(LOGITS, LOGITS.argmax(-1)) == 1
    assert quality(NUMBERS[:, None], NUMBERS) == 1
    mean = NUMBERS.mean().expand(4, 1)
    assert quality(mean, NUMBERS) == pytest.approx(0, abs=1e-6)

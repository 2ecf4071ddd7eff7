"""What training minimises: how far a network's answers are from the labels.

The labels say which loss it is: class indices are int64, the standardised numbers of a regression
floats. Answers are logits ``[n, classes]`` or numbers ``[n, 1]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.training import Training

__all__ = ["PLAIN", "Loss", "quality"]

TEMPERATURES = tuple(2 ** (step / 2) for step in range(-4, 9))
"""From a quarter to 16."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean loss of some examples.

    Attributes:
        class_weights: Of each class ``[classes]``, 1 on average over the training examples;
            ``None``: all examples count alike.
        label_smoothing: Share of each label that is spread over all classes.
        huber: Whether numbers that are off by more than one standard deviation of the target count
            in proportion to their distance, and not to its square (Huber, 1964).
    """

    class_weights: Tensor | None = None
    label_smoothing: float = 0.0
    huber: bool = False

    @classmethod
    def of(cls, training: Training, labels: Tensor, outputs: int) -> Loss:
        """The loss of a candidate's training.

        Args:
            training: Of the candidate.
            labels: Of the training split.
            outputs: Columns of a network's answer.
        """
        weights = None
        if training.class_weights == "balanced" and not labels.is_floating_point():
            counts = torch.bincount(labels, minlength=outputs)
            weights = len(labels) / (outputs * counts.clamp_min(1).float())
        return cls(weights, training.label_smoothing, training.loss == "huber")

    @property
    def judge(self) -> Loss:
        """The same for examples that are not trained on: their labels are not smoothed."""
        return Loss(self.class_weights, huber=self.huber)

    def calibrated(self, answers: Tensor, labels: Tensor) -> Tensor:
        """Of examples that are not trained on, with logits divided by what makes it least.

        How sure a network is can be set after its training (Guo et al., arXiv 1706.04599).
        """
        if labels.is_floating_point():
            return self.judge(answers, labels)
        return torch.stack([self.judge(answers / heat, labels) for heat in TEMPERATURES]).min()

    def __call__(self, answers: Tensor, labels: Tensor) -> Tensor:
        """Scalar; an example weighs the same whatever others are with it in the batch."""
        if labels.is_floating_point():
            numbers = answers.squeeze(-1)
            if self.huber:
                return functional.huber_loss(numbers, labels)
            return functional.mse_loss(numbers, labels)
        if self.class_weights is None:
            return functional.cross_entropy(answers, labels, label_smoothing=self.label_smoothing)
        each = functional.cross_entropy(
            answers, labels, reduction="none", label_smoothing=self.label_smoothing
        )
        return (self.class_weights[labels] * each).mean()

    def taught(
        self, student: Tensor, teacher: Tensor, labels: Tensor, distillation: Distillation
    ) -> Tensor:
        """Loss by a teacher's answers and by the labels together.

        Of classes ``w·T²·KL(teacher/T ‖ student/T) + (1 − w)·hard``; the T² keeps the gradients of
        the soft part independent of the temperature (Hinton, Vinyals and Dean, arXiv 1503.02531).
        Of numbers ``w·(student − teacher)² + (1 − w)·hard``: they have no temperature.
        """
        if labels.is_floating_point():
            soft = functional.mse_loss(student, teacher)
        else:
            heat = distillation.temperature
            soft = heat**2 * functional.kl_div(
                functional.log_softmax(student / heat, dim=-1),
                functional.log_softmax(teacher / heat, dim=-1),
                reduction="batchmean",
                log_target=True,
            )
        hard = self(student, labels)
        return distillation.weight * soft + (1 - distillation.weight) * hard


PLAIN = Loss()
"""All examples count alike; numbers by their squares."""


def quality(answers: Tensor, labels: Tensor) -> float:
    """How good answers are, for people who wait: the share that is right, or R² of numbers."""
    if not labels.is_floating_point():
        return float((answers.argmax(-1) == labels).float().mean())
    spread = labels.var(correction=0).clamp_min(torch.finfo(torch.float32).tiny)
    return 1 - float(functional.mse_loss(answers.squeeze(-1), labels) / spread)

"""Distillation: learning from a teacher's answers, and from what its last layer reads.

Answers and features are those to the examples as they are, computed once a study. A student whose
images are augmented compares its answer to the moved image with the teacher's to the unmoved one:
cheap, and less than what a consistent teacher would give, who sees the very image that its student
sees (Beyer et al., arXiv 2106.05237), at the cost of asking it at each step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from greenfront.errors import UsageError
from greenfront.objectives.stages.examples import Examples
from greenfront.objectives.stages.loss import PLAIN, Loss
from greenfront.objectives.stages.predict import in_chunks, predict
from greenfront.spaces.techniques.distillation import Distillation

__all__ = [
    "Criterion",
    "Projection",
    "TeacherOutputs",
    "criterion",
    "load_teacher_outputs",
    "save_teacher_outputs",
    "teach",
]

LEAST_DEVIATION = 1e-6
"""Features that hardly vary, such as those of a dead neuron, are not blown up."""


@dataclass(frozen=True, slots=True)
class TeacherOutputs:
    """What a teacher says of the training examples, in their order.

    Attributes:
        logits: ``[n, classes]``, or standardised numbers ``[n, 1]``; without gradient.
        features: What its last layer reads, standardised, ``[n, width]``; ``None`` where students
            learn from the logits alone.
    """

    logits: Tensor
    features: Tensor | None = None


class Projection(nn.Module):
    """From a student's features to a teacher's, whatever the widths; seeded by itself.

    It is trained with the student and thrown away after (Romero et al., FitNets, arXiv 1412.6550,
    there for a layer in the middle).
    """

    def __init__(self, student: int, teacher: int, seed: int) -> None:
        super().__init__()
        drawn = torch.randn(teacher, student, generator=torch.Generator().manual_seed(seed))
        self.weight = nn.Parameter(drawn / max(1, student) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(teacher))

    def loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean squared error between projected and wanted features, one row an example."""
        return functional.mse_loss(functional.linear(student, self.weight, self.bias), teacher)


class Criterion:
    """The loss of training examples: by their labels, and by a teacher's lessons where given."""

    def __init__(
        self,
        labels: Tensor,
        distillation: Distillation | None,
        lessons: TeacherOutputs | None,
        loss: Loss,
        projection: Projection | None = None,
        seen: Sequence[Tensor] = (),
    ) -> None:
        self._labels = labels
        self._loss = loss
        self._distillation = distillation
        self._lessons = lessons
        self._projection = projection
        self._seen = seen

    @property
    def weights(self) -> list[nn.Parameter]:
        """Those that are trained besides the network's."""
        return list(self._projection.parameters()) if self._projection is not None else []

    def __call__(self, logits: Tensor, chosen: Tensor) -> Tensor:
        """Loss of the chosen examples, right after the forward pass that gave their logits."""
        labels = self._labels[chosen]
        if self._distillation is None or self._lessons is None:
            return self._loss(logits, labels)
        teacher = self._lessons.logits[chosen]
        loss = self._loss.taught(logits, teacher, labels, self._distillation)
        if self._projection is None or self._lessons.features is None:
            return loss
        features = self._projection.loss(self._seen[0].float(), self._lessons.features[chosen])
        return loss + self._distillation.hidden_weight * features


@contextlib.contextmanager
def criterion(
    model: nn.Module,
    examples: Examples,
    head: nn.Module | None,
    distillation: Distillation | None,
    lessons: TeacherOutputs | None,
    seed: int,
    loss: Loss = PLAIN,
) -> Iterator[Criterion]:
    """What a network is trained by; its head is watched while inside, where features are learnt.

    Raises:
        UsageError: Features are to be learnt, and the teacher's or the head are not given.
    """
    if distillation is None or lessons is None or not distillation.hidden_weight:
        yield Criterion(examples.labels, distillation, lessons, loss)
        return
    if head is None or lessons.features is None:
        raise UsageError(
            f"hidden states weigh {distillation.hidden_weight:g}, so the head that reads them and "
            "the teacher's features must be given: give both, or a weight of 0"
        )
    with _watched(head) as seen:
        predict(model, examples.inputs[:2], examples.padding)
        widths = seen[0].shape[1], lessons.features.shape[1]
        projection = Projection(*widths, seed).to(examples.inputs.device)
        yield Criterion(examples.labels, distillation, lessons, loss, projection, seen)


def teach(model: nn.Module, examples: Examples, head: nn.Module | None = None) -> TeacherOutputs:
    """A teacher's lessons on the training examples, with what its head reads if given."""
    if head is None:
        return TeacherOutputs(predict(model, examples.inputs, examples.padding))
    logits, features = [], []
    with _watched(head) as seen:
        for answers in in_chunks(model, examples.inputs, examples.padding):
            logits.append(answers)
            features.append(seen[0])
    return TeacherOutputs(torch.cat(logits), _standardised(torch.cat(features)))


def save_teacher_outputs(lessons: TeacherOutputs, path: Path) -> None:
    """Stores lessons in a safetensors file."""
    tensors = {"logits": lessons.logits.cpu()}
    if lessons.features is not None:
        tensors["features"] = lessons.features.cpu()
    save_file(tensors, path)


def load_teacher_outputs(path: Path, device: str) -> TeacherOutputs:
    """Inverse of :func:`save_teacher_outputs`; on a device."""
    tensors = load_file(path, device=device)
    return TeacherOutputs(tensors["logits"], tensors.get("features"))


def _standardised(features: Tensor) -> Tensor:
    """Each feature with mean 0 and deviation 1: a weight means the same for every teacher."""
    deviation, mean = torch.std_mean(features, dim=0, correction=0)
    return (features - mean) / deviation.clamp_min(LEAST_DEVIATION)


@contextlib.contextmanager
def _watched(head: nn.Module) -> Iterator[list[Tensor]]:
    """A list that holds what the head read last, ``[n, width]``: the penultimate features."""
    seen: list[Tensor] = []

    def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[:] = [_pooled(inputs[0], channels=1 if isinstance(layer, nn.Conv2d) else -1)]

    handle = head.register_forward_pre_hook(look)
    try:
        yield seen
    finally:
        handle.remove()


def _pooled(features: Tensor, channels: int) -> Tensor:
    """What has places besides channels is averaged over them."""
    places = features.movedim(channels, -1)
    return places.reshape(len(places), -1, places.shape[-1]).mean(1)

"""The networks of one task: building, pruning and loading them, without metering."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.stages.examples import TrainingData, encoded
from greenfront.objectives.stages.fingerprint import Fingerprint, fingerprint, require_same
from greenfront.objectives.stages.loss import Loss
from greenfront.objectives.stages.prune import prune
from greenfront.objectives.stages.seeding import seeded
from greenfront.objectives.stages.structure import load_network, read_notes, save_network
from greenfront.objectives.stages.target_unit import in_target_unit
from greenfront.objectives.tasks.task import Labelled, Task
from greenfront.spaces.architectures.architecture import Architecture, ModelFamily
from greenfront.spaces.architectures.registry import architecture, network
from greenfront.spaces.candidate import ArchitectureChoice, Candidate, Placement
from greenfront.spaces.techniques.pruning import Pruning

__all__ = ["ModelFactory", "Origin", "family_of", "network_of"]

GRADIENT_BATCH = 64
"""Examples at once for importances that ask how the loss changes."""

ENCODINGS_KEPT = 3

COMPARED_EXAMPLES = 4
"""On which a network that is loaded has to answer as it did when it was stored."""


@dataclass(frozen=True, slots=True)
class Origin:
    """How a stored network was built, and by what it is known again."""

    seed: int
    fingerprint: Fingerprint


def family_of(candidate: Candidate) -> ModelFamily:
    """The family of a candidate's architecture."""
    return architecture(candidate.architecture.family)


def network_of(candidate: Candidate) -> Architecture:
    """The same, of a candidate that is a network."""
    return network(candidate.architecture.family)


class ModelFactory:
    """Makes networks for one task on one device."""

    def __init__(self, task: Task, device: str) -> None:
        self.task = task
        self.device = device
        self._encoded: OrderedDict[str, TrainingData] = OrderedDict()

    def data(self, candidate: Candidate) -> TrainingData:
        """The data as a candidate's family takes them; texts are not encoded for every trial."""
        family, choice = family_of(candidate), candidate.architecture
        key = repr(choice) if family.padding is not None else ""
        if key not in self._encoded:
            task = encoded(self.task, family, choice)
            self._encoded[key] = TrainingData.of(task, self.device, family.padding)
            if len(self._encoded) > ENCODINGS_KEPT:
                self._encoded.popitem(last=False)
        return self._encoded[key]

    def encoded(self, candidate: Candidate, split: Labelled) -> Labelled:
        """Another split of the task as a candidate's family takes it."""
        family, shape = family_of(candidate), dict(candidate.architecture.shape)
        return Labelled(family.encode(shape, split.inputs, self.task.train.inputs), split.labels)

    def baseline(self, name: str) -> Candidate:
        """The untouched baseline of a family."""
        shape = tuple(sorted(architecture(name).baseline().items()))
        return Candidate(ArchitectureChoice(name, shape), placement=Placement(self.device))

    def build(self, candidate: Candidate, seed: int = 0) -> nn.Module:
        """A fresh, unpruned network; its random numbers follow from the seed alone.

        Raises:
            UsageError: Pretrained weights are missing or do not fit.
        """
        facts = self.task.facts
        shape = dict(candidate.architecture.shape)
        with seeded(seed):
            module = network_of(candidate).build(shape, facts.input_shape, facts.outputs)
        return module.to(self.device)

    def loss(self, candidate: Candidate) -> Loss:
        """What a candidate's training minimises."""
        labels = self.data(candidate).train.labels
        return Loss.of(candidate.training, labels, self.task.facts.outputs)

    def untrained(self, candidate: Candidate) -> nn.Module:
        """A network to measure: blocks that begin as identities would be optimised away."""
        model = self.build(candidate)
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d) and layer.affine and not layer.weight.any():
                nn.init.ones_(layer.weight)
        return model

    def save(self, model: nn.Module, candidate: Candidate, file: Path, seed: int) -> None:
        """Stores a network, and by what it is known again; the seed is that of its building."""
        origin = Origin(seed, fingerprint(model, self._some(candidate)))
        save_network(model, file, notes=to_json(origin))

    def load(self, candidate: Candidate, file: Path) -> nn.Module:
        """A network that was stored, pruned or not: it answers as it did then.

        Raises:
            TrialFailed: It does not (cause ``"not restored"``).
        """
        origin = self.origin(file)
        model = self.build(candidate, origin.seed)
        load_network(model, file)
        model.to(self.device)
        require_same(model, self._some(candidate), origin.fingerprint)
        return model

    @staticmethod
    def origin(file: Path) -> Origin:
        """Where the network in a file comes from."""
        return from_json(Origin, read_notes(file))

    def _some(self, candidate: Candidate) -> Tensor:
        return self.data(candidate).validation.batch(slice(0, COMPARED_EXAMPLES))

    def prune(
        self,
        model: nn.Module,
        candidate: Candidate,
        pruning: Pruning,
        original: Mapping[str, int] | None = None,
    ) -> float:
        """Narrows a candidate's network in place; see :mod:`greenfront.objectives.stages.prune`."""
        data = self.data(candidate)
        # A split may be sorted, and a batch larger than all of it.
        order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
        judge = self.loss(candidate).judge

        def loss(network: nn.Module, number: int) -> Tensor:
            places = torch.arange(GRADIENT_BATCH * number, GRADIENT_BATCH * (number + 1))
            some = order[places % len(order)].to(self.device)
            logits = network(data.train.batch(some))
            return judge(logits, data.train.labels[some])

        head = network_of(candidate).head(model)
        example = data.train.inputs[:2]
        return prune(model, example, pruning, head, loss=loss, original=original)

    def in_target_unit(self, model: nn.Module, candidate: Candidate) -> nn.Module:
        """A trained network that answers in the target's unit; classes have none."""
        scale = self.task.facts.target
        if scale is None:
            return model
        some = self.data(candidate).train.batch(slice(0, 2))
        return in_target_unit(model, network_of(candidate).head(model), scale, some)

    def flops(self, model: nn.Module, candidate: Candidate) -> int:
        """Floating-point operations of one prediction, two a multiply-add."""
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            _stays_eager(type(counter.mode).__torch_dispatch__)
            model.eval()(self.data(candidate).validation.batch(slice(0, 1)))
        return int(counter.get_total_flops())


def _stays_eager(hook: Callable[..., Any]) -> None:
    """Tells torch that its compiler need not be kept out of ``hook``: nothing is compiled here.

    Else the first call imports the whole compiler, only to ask that of it: 1.2 CPU-seconds.
    """
    plain = inspect.unwrap(hook)
    plain.__dynamo_disable = plain

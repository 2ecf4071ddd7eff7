"""Which trainings are compiled: measured once a family, remembered like every stage's output."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from greenfront.objectives.context import StageContext
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.compiling import (
    CompileChoice,
    measure_compiling,
    measure_step,
)
from greenfront.spaces.candidate import Candidate

__all__ = ["CompilePolicy"]

SHORTEST_SECONDS = 10.0
"""Generating code for the smallest networks took 5 to 10 seconds: a training that takes no longer
has nothing to gain, and compiling, which takes minutes for large networks, is not even measured."""


class CompilePolicy:
    """Decides whether the steps of a training are compiled.

    Args:
        networks: Of the task.
        store: Where measurements are kept.
        context: Meters them as phase ``"size"``, and hears what they say.
        seed: Of the study.
    """

    def __init__(
        self, networks: ModelFactory, store: LineageStore, context: StageContext, *, seed: int
    ) -> None:
        self._networks = networks
        self._store = store
        self._host = context
        self._seed = seed

    def prepare(self, candidate: Candidate) -> None:
        """Measures what :meth:`compiled` will ask for, before any window is open: none nest."""
        training = candidate.training
        self.compiled(candidate, max(training.epochs, training.fine_tune_epochs))

    def compiled(self, candidate: Candidate, epochs: int) -> bool:
        """Whether a training of a candidate is compiled.

        Args:
            candidate: Whose family, batch and setting count.
            epochs: At most so many; that a training may end before is not foreseen.
        """
        match candidate.training.compile:
            case "auto":
                examples = len(self._networks.data(candidate).train)
                steps = epochs * math.ceil(examples / candidate.training.batch_size)
                family = candidate.architecture.family
                long_enough = steps * self.step_seconds(family) >= SHORTEST_SECONDS
                return long_enough and self.choice(family).pays(steps)
            case wanted:
                return wanted == "always"

    def choice(self, name: str) -> CompileChoice:
        """What compiling is worth for a family on this machine.

        Measured on the family's untrained baseline and a usual batch.
        """

        def measure(model: nn.Module, inputs: Tensor, labels: Tensor) -> Mapping[str, Any]:
            self._host.progress(f"{name}: measuring what compiling is worth")
            choice = measure_compiling(model, inputs, labels)
            self._host.progress(f"{name}: {choice}")
            return choice.to_json()

        return CompileChoice.from_json(self._measured("compile", name, measure))

    def step_seconds(self, name: str) -> float:
        """What a training step of a family takes, measured likewise."""

        def measure(model: nn.Module, inputs: Tensor, labels: Tensor) -> Mapping[str, Any]:
            return {"seconds": measure_step(model, inputs, labels)}

        return float(self._measured("step", name, measure)["seconds"])

    def _measured(
        self,
        stage: str,
        name: str,
        measure: Callable[[nn.Module, Tensor, Tensor], Mapping[str, Any]],
    ) -> Mapping[str, Any]:
        baseline = self._networks.baseline(name)
        key = self._networks.family_key(
            stage, name, {"threads": torch.get_num_threads(), "torch": torch.__version__}
        )

        def make(_: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            train = self._networks.data(baseline).train
            some = slice(0, baseline.training.batch_size)
            with self._host.phase("size") as window:
                torch.manual_seed(self._seed)
                model = self._networks.build(baseline).train()
                facts = measure(model, train.batch(some), train.labels[some])
            return {"size": window.total}, facts

        return self._store.made(key, make)[0].facts

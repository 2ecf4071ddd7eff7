"""Real trials of a small task in this process, with a context that listens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from greenfront.objectives.context import LocalContext, Window
from greenfront.objectives.metering.cpu_model import CpuModelMeter, WattsPerThread
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.outcome import Outcome, Sizing
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.tasks.task import Task
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.training import Training

MEASURING = Measuring(block_seconds=0.004, least_blocks=3, most_blocks=3)
TRAINING = Training(learning_rate=5e-3, epochs=3, patience=0, fine_tune_epochs=2)


def network(family: str) -> Candidate:
    shape = tuple(sorted(architecture(family).baseline().items()))
    return Candidate(ArchitectureChoice(family, shape), TRAINING)


MLP, CNN = network("mlp"), network("cnn")
PRUNED = replace(MLP, pruning=Pruning(0.5))
STUDENT = replace(MLP, distillation=Distillation(4.0, 0.7))
TEACHER = replace(CNN, training=replace(TRAINING, epochs=1))


class ListeningContext(LocalContext):
    """Meters this process and remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(Instruments((CpuModelMeter(WattsPerThread(4, 2, 8, "test")),)))
        self.windows: list[Window] = []
        self.lines: list[str] = []
        self.sizings: list[Sizing] = []
        self.hopeless = False

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Window]:
        with super().phase(name) as window:
            self.windows.append(window)
            yield window

    def progress(self, message: str) -> None:
        self.lines.append(message)

    def size_verdict(self, sizing: Sizing) -> str | None:
        self.sizings.append(sizing)
        return "no accuracy could save it" if self.hopeless else None

    def stages(self) -> list[str]:
        measured = {"size", "setup", "calibrate", "evaluate", "inference", "preprocess"}
        return [window.phase for window in self.windows if window.phase not in measured]


class Bench:
    def __init__(self, task: Task, root: Path, *, seed: int = 1, teacher: Candidate | None = None):
        self.context = ListeningContext()
        self.store = LineageStore(root)
        self.runtime = Runtime(
            ModelFactory(task, "cpu"), self.store, self.context, seed, MEASURING, teacher
        )
        self.runner = TrialRunner(self.runtime)

    def run(self, candidate: Candidate) -> Outcome:
        self.context.windows.clear()
        return self.runner.run(candidate)

    def file(self, outcome: Outcome) -> Path:
        return self.store.root / outcome.artefact


def facts(outcome: Outcome) -> tuple[object, ...]:
    """All of an outcome that does not depend on when it was measured."""
    return (
        outcome.score,
        list(outcome.phases),
        outcome.parameters,
        outcome.flops,
        outcome.artefact_bytes,
        outcome.pruned_ratio,
        outcome.epochs,
        outcome.artefact,
    )

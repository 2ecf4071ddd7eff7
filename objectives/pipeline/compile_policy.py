"""Which trainings are compiled: measured once a family, remembered like every stage's output."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from greenfront.objectives.codec import from_json
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.stages.compiling import CompileChoice, measure_compiling, measure_step
from greenfront.spaces.candidate import Candidate

__all__ = ["compile_choice", "is_compiled", "step_seconds"]

SHORTEST_SECONDS = 10.0
"""Generating code for the smallest networks took 5 to 10 seconds: a training that takes no longer
has nothing to gain, and compiling, which takes minutes for large networks, is not even measured."""


def is_compiled(runtime: Runtime, candidate: Candidate, epochs: int) -> bool:
    """Whether a training of so many epochs at most is compiled; measures what it takes, once."""
    training, family = candidate.training, candidate.architecture.family
    if training.compile != "auto":
        return training.compile == "always"
    steps = epochs * math.ceil(len(runtime.models.data(candidate).train) / training.batch_size)
    long_enough = steps * step_seconds(runtime, family) >= SHORTEST_SECONDS
    return long_enough and compile_choice(runtime, family).pays(steps)


def compile_choice(runtime: Runtime, family: str) -> CompileChoice:
    """What compiling is worth for a family on this machine.

    Measured on the family's untrained baseline and a usual batch.
    """

    def measure(model: nn.Module, inputs: Tensor, labels: Tensor) -> CompileChoice:
        runtime.context.progress(f"{family}: measuring what compiling is worth")
        choice = measure_compiling(model, inputs, labels)
        runtime.context.progress(f"{family}: {choice}")
        return choice

    return from_json(CompileChoice, _calibrated(runtime, "compile", family, measure))


def step_seconds(runtime: Runtime, family: str) -> float:
    """What a training step of a family takes, measured likewise."""
    return float(_calibrated(runtime, "step", family, measure_step))


def _calibrated(
    runtime: Runtime, what: str, family: str, measure: Callable[[nn.Module, Tensor, Tensor], object]
) -> Any:
    def measure_baseline(baseline: Candidate, _: Path) -> object:
        train = runtime.models.data(baseline).train
        some = slice(0, baseline.training.batch_size)
        model = runtime.models.build(baseline).train()
        return measure(model, train.batch(some), train.labels[some])

    knobs = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    return runtime.calibrated(what, family, knobs, measure_baseline)

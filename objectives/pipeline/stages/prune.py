"""Structured pruning, at once or in steps, and the fine-tuning that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from greenfront.objectives.pipeline.lineage import Made
from greenfront.objectives.pipeline.stage import Stage, StageJob
from greenfront.objectives.pipeline.trainer import Trainer
from greenfront.objectives.readings import Reading, total
from greenfront.objectives.stages.importance import load_importance
from greenfront.objectives.stages.prune import cumulative_ratio, parameter_count, widths
from greenfront.spaces.candidate import Candidate

__all__ = ["STAGE", "Prune"]


class Prune(Stage):
    """Removes channels and heads; its facts tell the share of parameters that it ``removed``."""

    name = "prune"
    order = 30

    def applies(self, candidate: Candidate) -> bool:
        """Whether anything is to be pruned."""
        return candidate.pruning.ratio > 0

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """The pruning and the length of the fine-tuning."""
        epochs = candidate.training.fine_tune_epochs
        return {**candidate.to_json()["pruning"], "fine_tune_epochs": epochs}

    def reshape(self, model: nn.Module, candidate: Candidate) -> None:
        """Prunes by magnitude: which channels go makes no difference to the cost."""
        if self.applies(candidate):
            by_size = replace(candidate.pruning, importance="magnitude")
            self.runtime.models.prune(model, candidate, by_size)

    def make(self, job: StageJob) -> Made:
        """Prunes and fine-tunes, step by step."""
        pruning, context = job.candidate.pruning, self.runtime.context
        with context.phase("setup"):  # of the process, not of this model
            load_importance(pruning.importance)
        trainer = Trainer(self.runtime, job)
        model = trainer.load()
        before, original = parameter_count(model), widths(model)
        epochs = job.candidate.training.fine_tune_epochs
        steps = pruning.steps(epochs)
        prunings: list[Reading] = []
        tunings: list[Reading] = []
        for step in range(1, steps + 1):
            so_far = replace(pruning, ratio=cumulative_ratio(pruning.ratio, step, steps))
            with context.phase("prune") as window:
                self.runtime.models.prune(
                    model, job.candidate, so_far, original if steps > 1 else None
                )
            prunings.append(window.total)
            with context.phase("fine-tune") as window:
                length = 1 if step < steps else max(1, epochs - steps + 1)
                trainer.fit(model, "fine-tuning", length)
            tunings.append(window.total)
        trainer.save(model)
        return Made(
            {"prune": total(prunings), "fine-tune": total(tunings)},
            {"removed": 1 - parameter_count(model) / before},
        )


STAGE = Prune

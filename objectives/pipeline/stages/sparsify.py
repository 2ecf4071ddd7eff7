"""Unstructured pruning: single weights become zero, and the others are tuned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenfront.objectives.pipeline.lineage import Made
from greenfront.objectives.pipeline.stage import Stage, StageJob
from greenfront.objectives.pipeline.trainer import Trainer
from greenfront.objectives.readings import total
from greenfront.objectives.stages.sparsify import zero_weakest, zeros_kept
from greenfront.spaces.candidate import Candidate

__all__ = ["STAGE", "Sparsify"]


class Sparsify(Stage):
    """Sets weights to zero and tunes the others."""

    name = "sparsify"
    order = 40

    def applies(self, candidate: Candidate) -> bool:
        """Whether zeros are asked for."""
        return candidate.sparsity.share > 0

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """The share of zeros and the length of the tuning."""
        epochs = candidate.training.fine_tune_epochs
        return {"share": candidate.sparsity.share, "fine_tune_epochs": epochs}

    def make(self, job: StageJob) -> Made:
        """Zeros the weakest weights of the whole network."""
        trainer = Trainer(self.runtime, job)
        model = trainer.load()
        with self.runtime.context.phase("prune") as pruning:
            zero_weakest(model, job.candidate.sparsity.share)
        with self.runtime.context.phase("fine-tune") as tuning, zeros_kept(model):
            trainer.fit(model, "tuning with zeros", job.candidate.training.fine_tune_epochs)
        trainer.save(model)
        return Made({"sparsify": total([pruning.total, tuning.total])})


STAGE = Sparsify

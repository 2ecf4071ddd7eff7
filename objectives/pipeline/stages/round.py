"""Quantization-aware tuning: the network is tuned with its weights rounded as they will be."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from greenfront.objectives.pipeline.int8_policy import reduces_range
from greenfront.objectives.pipeline.lineage import Made
from greenfront.objectives.pipeline.stage import Stage, StageJob
from greenfront.objectives.pipeline.trainer import Trainer
from greenfront.objectives.stages.fake_quant import fake_quantized
from greenfront.objectives.stages.sparsify import zeros_kept
from greenfront.spaces.candidate import Candidate

__all__ = ["STAGE", "Round"]


class Round(Stage):
    """Tunes a network with its weights rounded to the bits that they will have."""

    name = "round"
    order = 50

    def applies(self, candidate: Candidate) -> bool:
        """Whether the rounded network is to be tuned."""
        return candidate.precision.quantization_aware

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """The grid of the rounded weights and the length of the tuning."""
        return {
            "bits": candidate.precision.bits,
            "reduce_range": reduces_range(candidate.precision),
            "fine_tune_epochs": candidate.training.fine_tune_epochs,
        }

    def make(self, job: StageJob) -> Made:
        """Zeros that were set before stay zero."""
        precision = job.candidate.precision
        trainer = Trainer(self.runtime, job)
        with self.runtime.context.phase("quantize") as window:
            model = trainer.load()
            zeros = zeros_kept(model) if job.candidate.sparsity.share else nullcontext()
            rounded = fake_quantized(model, precision.bits, reduce_range=reduces_range(precision))
            with zeros, rounded:
                epochs = job.candidate.training.fine_tune_epochs
                trainer.fit(model, f"tuning at {precision.bits} bits", epochs)
            trainer.save(model)
        return Made({"round": window.total})


STAGE = Round

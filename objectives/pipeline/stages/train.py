"""Training from random or pretrained weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenfront.objectives.pipeline.lineage import Made
from greenfront.objectives.pipeline.model_factory import network_of
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.stage import Stage, StageJob
from greenfront.objectives.pipeline.trainer import Trainer
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.candidate import Candidate

__all__ = ["STAGE", "Train"]


class Train(Stage):
    """Trains a network; its facts tell the ``epoch`` whose weights were kept.

    Args:
        runtime: See :class:`Stage`.
        phase: ``"teacher"`` where another candidate's students pay for it; one output serves both.
    """

    name = "train"
    order = 20

    def __init__(self, runtime: Runtime, phase: str = "train") -> None:
        super().__init__(runtime)
        self._phase = phase

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """What is not done after it, the pretrained weights and the study's seed."""
        knobs = candidate.to_json()
        del knobs["training"]["fine_tune_epochs"]
        kept = ("architecture", "training", "distillation", "placement")
        family = network_of(candidate)
        return {
            **{name: knobs[name] for name in kept},
            # Where a family has a way of its own.
            **{
                name: getattr(family, name)
                for name in ("weight_decay", "warm_up")
                if getattr(family, name) != getattr(Architecture, name)
            },
            "weights": family.fingerprint(),
            "seed": self.runtime.seed,
        }

    def make(self, job: StageJob) -> Made:
        """Builds and trains the network."""
        trainer = Trainer(self.runtime, job)
        with self.runtime.context.phase(self._phase) as window:
            models, family = self.runtime.models, network_of(job.candidate)
            model = trainer.build()
            family.adapt(model, models.data(job.candidate).train.inputs)
            what = "training" if self._phase == "train" else self._phase
            epoch = trainer.fit(model, what, job.candidate.training.epochs)
            trainer.save(model)
        return Made({"train": window.total}, {"epoch": epoch})


STAGE = Train

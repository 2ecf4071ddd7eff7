"""Training from random or pretrained weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from greenfront.objectives.pipeline.lineage import Made, StageOutput, lineage_key
from greenfront.objectives.pipeline.model_factory import network_of
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.stage import Stage, StageJob
from greenfront.objectives.pipeline.trainer import Trainer
from greenfront.objectives.readings import Reading, total
from greenfront.objectives.rungs import RUNGS, rung_epochs
from greenfront.objectives.stages.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from greenfront.objectives.stages.predict import predict
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.candidate import Candidate

__all__ = ["STAGE", "Train"]

CHECKPOINT = "checkpoint.safetensors"
"""What a rung leaves in its folder."""


class Train(Stage):
    """Trains a network; its facts tell the ``epoch`` whose weights were kept, and the ``curve``.

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
        """Builds and trains the network, or goes on where a rung of it has stopped."""
        rungs = range(len(RUNGS) - 1)
        keys = [self._rung_key(job.candidate, job.earlier, rung) for rung in rungs]
        stopped = [self.runtime.store.find(key) for key in keys]
        below = next((each for each in reversed(stopped) if each is not None), None)
        trainer, left, readings = self._trained(job, below, None)
        trainer[0].save(trainer[1])
        reached = left.reached
        return Made({"train": readings}, {"epoch": reached.best_epoch, "curve": reached.qualities})

    def rung(
        self, candidate: Candidate, earlier: Mapping[str, StageOutput], rung: int
    ) -> StageOutput:
        """Trains a network to a rung below the whole effort, or finds that in the store.

        The output holds a checkpoint; its facts are the ``score`` there, the epochs that are
        ``over``, and those ``left`` (0 where patience has ended the training).
        """
        below = self.rung(candidate, earlier, rung - 1) if rung else None
        epochs = candidate.training.epochs

        def make(folder: Path) -> Made:
            job = self.job(candidate, earlier, folder)
            (_, model), left, readings = self._trained(job, below, rung_epochs(epochs, rung))
            save_checkpoint(left, folder / CHECKPOINT)
            reached = left.reached
            facts = {
                "score": self._score(model, candidate),
                "over": reached.epoch,
                "left": 0 if reached.over else epochs - reached.epoch,
            }
            return Made({"train": readings}, facts)

        key = self._rung_key(candidate, earlier, rung)
        return self.runtime.store.output(key, make, stage="rung")

    def _rung_key(self, candidate: Candidate, earlier: Mapping[str, StageOutput], rung: int) -> str:
        until = rung_epochs(candidate.training.epochs, rung)
        return lineage_key("rung", self.key(candidate, earlier), {"until": until})

    def _trained(
        self, job: StageJob, below: StageOutput | None, until: int | None
    ) -> tuple[tuple[Trainer, nn.Module], Checkpoint, Reading]:
        """A network trained from a lower rung, if any; the energy is that of both."""
        trainer, models = Trainer(self.runtime, job), self.runtime.models
        with self.runtime.context.phase(self._phase) as window:
            model = trainer.build()
            family = network_of(job.candidate)
            family.adapt(model, models.data(job.candidate).train.inputs)
            since = None
            if below is not None:
                since = load_checkpoint(below.folder / CHECKPOINT, models.device)
            what = "training" if self._phase == "train" else self._phase
            # Students wait for a teacher, and a race judges its rungs itself.
            judged = self._phase == "train" and until is None
            left = trainer.fit_some(model, what, until, since, judged=judged)
        spent = [] if below is None else [below.readings["train"]]
        return (trainer, model), left, total([*spent, window.total])

    def _score(self, model: nn.Module, candidate: Candidate) -> float:
        """On the validation split, in the metric's unit."""
        models = self.runtime.models
        facts, validation = models.task.facts, models.data(candidate).validation
        with self.runtime.context.phase("evaluate"):
            answers = predict(model, validation.inputs, validation.padding).float().cpu().numpy()
            labels = models.task.validation.labels
            if facts.target is not None:
                answers, labels = facts.target.original(answers), facts.target.original(labels)
            return self.runtime.judged_by.score(answers, labels)


STAGE = Train

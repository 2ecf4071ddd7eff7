"""Training within a stage, by all that the candidate says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from greenfront.errors import TrialStopped
from greenfront.objectives.learning_curve import AFTER_EPOCH, LearningCurve
from greenfront.objectives.pipeline.compile_policy import is_compiled
from greenfront.objectives.pipeline.model_factory import network_of
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.stage import WEIGHTS, StageJob
from greenfront.objectives.stages.checkpoint import Checkpoint
from greenfront.objectives.stages.distil import TeacherOutputs, load_teacher_outputs
from greenfront.objectives.stages.predict import seen_through
from greenfront.objectives.stages.train import EpochReport, FitOptions, train

__all__ = ["TEACHER_OUTPUTS", "Trainer"]

TEACHER_OUTPUTS = "teacher.safetensors"
"""What the ``teach`` stage leaves in its folder."""


class Trainer:
    """Trains the networks of one candidate in one stage.

    What this needs besides the network is measured and loaded at once: make it before a metered
    phase is opened, in which that would count.
    """

    def __init__(self, runtime: Runtime, job: StageJob) -> None:
        self._runtime = runtime
        self._job = job
        self._built_with = job.seed
        training = job.candidate.training
        is_compiled(runtime, job.candidate, max(training.epochs, training.fine_tune_epochs))
        teaching = job.earlier.get("teach")
        self._lessons: TeacherOutputs | None = None
        if teaching is not None:
            file = teaching.folder / TEACHER_OUTPUTS
            self._lessons = load_teacher_outputs(file, runtime.models.device)

    def build(self) -> nn.Module:
        """A fresh network, by the stage's seed."""
        return self._runtime.models.build(self._job.candidate, self._built_with)

    def load(self) -> nn.Module:
        """The network that the stage before has left."""
        models, file = self._runtime.models, self._job.parent_weights
        self._built_with = models.origin(file).seed
        return models.load(self._job.candidate, file)

    def save(self, model: nn.Module) -> None:
        """Leaves a network for the stage after."""
        file = self._job.folder / WEIGHTS
        self._runtime.models.save(model, self._job.candidate, file, self._built_with)

    def fit(self, model: nn.Module, what: str, epochs: int) -> int:
        """Trains in place, ``epochs`` at most; returns the one whose weights were kept, from 1."""
        return self._train(model, epochs, self._report(what)).reached.best_epoch

    def fit_some(
        self,
        model: nn.Module,
        what: str,
        until: int | None,
        since: Checkpoint | None,
        *,
        judged: bool = False,
    ) -> Checkpoint:
        """Trains in place for some of the candidate's own epochs; see :func:`train`.

        Where all but the head is frozen there is nothing to stop for: that takes one pass.

        Raises:
            TrialStopped: It is ``judged``, and what is left of it cannot pay any more.
        """
        epochs, report = self._job.candidate.training.epochs, self._report(what, judged=judged)
        return self._train(model, epochs, report, until, since)

    def _train(
        self,
        model: nn.Module,
        epochs: int,
        on_epoch: Callable[[EpochReport], None],
        until: int | None = None,
        since: Checkpoint | None = None,
    ) -> Checkpoint:
        candidate, models, seed = self._job.candidate, self._runtime.models, self._job.seed
        family, training = network_of(candidate), replace(candidate.training, epochs=epochs)
        options = self._options(model, epochs, on_epoch)
        data, body = models.data(candidate), family.frozen_body(model)
        if body is None:
            return train(model, data, training, seed, options, until=until, since=since)
        features = data if since is not None and since.reached.over else seen_through(body, data)
        return train(family.head(model), features, training, seed, options, since=since)

    def _options(
        self, model: nn.Module, epochs: int, on_epoch: Callable[[EpochReport], None]
    ) -> FitOptions:
        candidate, runtime = self._job.candidate, self._runtime
        family, training = network_of(candidate), candidate.training
        return FitOptions(
            head=family.head(model),
            blocks=tuple(family.blocks(model)) if training.layer_decay < 1 else (),
            body_rate=family.body_rate,
            weight_decay=family.weight_decay,
            warm_up=family.warm_up,
            loss=runtime.models.loss(candidate),
            distillation=candidate.distillation,
            lessons=self._lessons,
            compiled=is_compiled(runtime, candidate, epochs),
            on_epoch=on_epoch,
            say=runtime.context.progress,
        )

    def _report(self, what: str, *, judged: bool = False) -> Callable[[EpochReport], None]:
        context, batch = self._runtime.context, self._job.candidate.training.batch_size
        numbers = self._runtime.models.task.facts.regression

        def report(epoch: EpochReport) -> None:
            short = f", {epoch.at_once} at once to spare memory" if epoch.at_once < batch else ""
            good = epoch.qualities[-1]
            reached = f"R² {good:.3f}" if numbers else f"{good:.1%}"
            far = f"{epoch.epoch} of {epoch.epochs}"
            context.progress(f"{what}, epoch {far}: {reached}{short}")
            if judged and not epoch.over:
                hopeless = context.training_verdict(LearningCurve(epoch.qualities, epoch.epochs))
                if hopeless is not None:
                    raise TrialStopped(f"{AFTER_EPOCH} {far}, at {reached}: {hopeless}")

        return report

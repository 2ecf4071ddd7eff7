"""The teacher's answers to the training examples, computed once a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenfront.errors import TrialFailed
from greenfront.objectives.pipeline.lineage import Made
from greenfront.objectives.pipeline.model_factory import network_of
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.stage import WEIGHTS, Stage, StageJob
from greenfront.objectives.pipeline.stages.train import Train
from greenfront.objectives.pipeline.trainer import TEACHER_OUTPUTS
from greenfront.objectives.readings import total
from greenfront.objectives.stages.distil import save_teacher_outputs, teach
from greenfront.spaces.candidate import Candidate

__all__ = ["STAGE", "Teach"]


class Teach(Stage):
    """Trains the study's teacher and stores what it says of the training examples.

    The training is the teacher's own ``train`` stage, so that a trial of the teacher shares it.
    """

    name = "teach"
    order = 10

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._training = Train(runtime, phase="teacher")

    def applies(self, candidate: Candidate) -> bool:
        """Whether the candidate is a student."""
        return candidate.distillation is not None

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """What the teacher's training depends on, and whether features are stored."""
        return {
            "teacher": self._training.inputs(self._teacher),
            "features": _learns_features(candidate),
        }

    def make(self, job: StageJob) -> Made:
        """Asks the teacher, which is trained first if it is not yet."""
        teacher, models = self._teacher, self.runtime.models
        trained = self._training.output(teacher, {})
        train_split = models.data(teacher).train
        with self.runtime.context.phase("teacher") as window:
            model = models.load(teacher, trained.folder / WEIGHTS)
            head = network_of(teacher).head(model) if _learns_features(job.candidate) else None
            save_teacher_outputs(teach(model, train_split, head), job.folder / TEACHER_OUTPUTS)
        return Made({"teacher": total([*trained.readings.values(), window.total])})

    @property
    def _teacher(self) -> Candidate:
        if self.runtime.teacher is None:
            raise TrialFailed("error", "a student needs a teacher, and this study names none")
        return self.runtime.teacher


def _learns_features(candidate: Candidate) -> bool:
    return candidate.distillation is not None and candidate.distillation.hidden_weight > 0


STAGE = Teach

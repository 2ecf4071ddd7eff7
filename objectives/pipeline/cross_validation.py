"""Candidates on other folds of a task, through the same stages and the same store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from greenfront.objectives.outcome import FoldScore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.candidate import Candidate

__all__ = ["CrossValidation"]


class CrossValidation:
    """Judges candidates on folds; each fold is loaded when it is first asked for.

    Args:
        runner: Of the study's own split.
        settings: Of the task.
        data: Folder for decoded data.
    """

    def __init__(self, runner: TrialRunner, settings: TaskSettings, data: Path) -> None:
        self._own = runner.runtime
        self._settings = settings
        self._data = data
        self._runners: dict[int, TrialRunner] = {}

    def judged(self, candidate: Candidate, fold: int) -> FoldScore:
        """What a candidate scores on a fold, made anew as far as the store does not hold it.

        Args:
            candidate: What to make.
            fold: From 1 on.

        Raises:
            TrialFailed: It cannot be made.
        """
        runner = self._runner(fold)
        runner.runtime.teacher = self._own.teacher
        judgement = runner.judged(candidate)
        examples = len(runner.runtime.models.task.validation)
        return FoldScore(judgement.score, examples, judgement.resampled)

    def _runner(self, fold: int) -> TrialRunner:
        if fold not in self._runners:
            own = self._own
            with own.context.phase("data"):
                task = load_task(self._settings, cache=self._data, seed=own.seed, fold=fold)
            # What a family gains by int8 kernels or compiling is the same on all folds.
            calibrated_on = own.models.task.facts.fingerprint
            models = ModelFactory(task, own.models.device)
            runtime = replace(own, models=models, calibrated_on=calibrated_on)
            self._runners[fold] = TrialRunner(runtime)
        return self._runners[fold]

"""Finished models of a study, and what they answer to the validation examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.judging import Judgement
from greenfront.objectives.pipeline.model_factory import family_of
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.resampling import unpacked
from greenfront.objectives.stages.evaluate import answers_of, open_artefact, predictions
from greenfront.objectives.stages.metered import Measuring, Work
from greenfront.objectives.stages.session import open_plain
from greenfront.objectives.tuning.plans import Gain, Member
from greenfront.spaces.candidate import Candidate

__all__ = ["Validation", "gain", "plain_work", "read_alike"]


def gain(runtime: Runtime, mine: Judgement, other: Judgement) -> Gain:
    """How much better a model does than another, paired over resamples of the examples."""
    sign = 1.0 if runtime.judged_by.metric.maximise else -1.0
    value = sign * (mine.score - other.score)
    if mine.resampled is None or other.resampled is None:
        return Gain(value, None, None)
    apart = sign * (unpacked(mine.resampled) - unpacked(other.resampled))
    low, high = np.percentile(apart, (2.5, 97.5)).tolist()
    return Gain(value, low, high)


class Validation:
    """The whole validation split, as the families of a study take it.

    The test split is never read here.

    Args:
        runtime: Of the study.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        task = runtime.models.task
        self._whole = task.whole_validation or task.validation
        target = task.facts.target
        labels = self._whole.labels
        self.labels: NDArray[Any] = labels if target is None else target.original(labels)

    def inputs(self, candidate: Candidate) -> NDArray[Any]:
        """What a candidate's models take, ``[n, …]``."""
        return self.runtime.models.encoded(candidate, self._whole).inputs

    def padding(self, candidate: Candidate) -> int | None:
        """What fills short texts up."""
        return family_of(candidate).padding

    def answers(self, path: Path, candidate: Candidate) -> NDArray[np.float32]:
        """What a file answers, ``[n, outputs]``."""
        session = open_artefact(path, self.runtime.measuring.threads)
        return answers_of(session, self.inputs(candidate), self.padding(candidate))

    def judged(self, answers: NDArray[np.float32]) -> Judgement:
        """What answers are worth to the study."""
        return self.runtime.judged_by.judge(answers, self.labels)

    def score(self, answers: NDArray[np.float32]) -> float:
        """The score alone, which takes a moment."""
        return self.runtime.judged_by.score(answers, self.labels)


def read_alike(one: Member, other: Member, validation: Validation) -> bool:
    """Whether two models take the same inputs, so that one file can hold both."""
    mine, others = one.model, other.model
    if validation.padding(mine) != validation.padding(others):
        return False
    return np.array_equal(validation.inputs(mine), validation.inputs(others))


def plain_work(
    paths: Sequence[tuple[Path, Candidate]], validation: Validation
) -> tuple[list[Work], Measuring]:
    """Single predictions of some files in sessions without options, over all of validation.

    What a cascade takes depends on how many examples it passes on: each block takes all of them.
    """
    works = [
        predictions(open_plain(path), validation.inputs(one), 1, validation.padding(one))
        for path, one in paths
    ]
    return works, replace(validation.runtime.measuring, batch=1, entire=True)

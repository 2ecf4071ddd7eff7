"""Finished files joined: several models whose answers are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from greenfront.objectives.pipeline.joining import Joined, Joining
from greenfront.objectives.stages.ensemble import averaged, mean_answers
from greenfront.spaces.candidate import Candidate

__all__ = ["STAGE", "JoinEnsemble"]


class JoinEnsemble(Joining):
    """Writes one file of several models, each of which computes each example."""

    name = "ensemble"
    order = 96

    def others(self, candidate: Candidate) -> tuple[Candidate, ...]:
        """The models beside the first."""
        return candidate.companions

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """The other models' own files."""
        return {"others": self.keys_of_others(candidate)}

    def graph(self, paths: Sequence[Path], candidate: Candidate) -> onnx.ModelProto:
        """See :func:`averaged`."""
        del candidate
        return averaged(paths, numbers=self._numbers)

    def joined(self, answers: Sequence[NDArray[np.float32]], candidate: Candidate) -> Joined:
        """The mean."""
        del candidate
        return Joined(mean_answers(answers, numbers=self._numbers), (1.0,) * (len(answers) - 1))

    @property
    def _numbers(self) -> bool:
        return self.runtime.models.task.facts.regression


STAGE = JoinEnsemble

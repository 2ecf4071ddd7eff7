"""Two finished files joined: a second model behind a first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from greenfront.objectives.pipeline.joining import Joined, Joining
from greenfront.objectives.stages.cascade import cascaded, merged_answers, sureness
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.cascade import Cascade

__all__ = ["STAGE", "JoinCascade"]


class JoinCascade(Joining):
    """Writes one file of a first and a second model."""

    name = "cascade"
    order = 95

    def others(self, candidate: Candidate) -> tuple[Candidate, ...]:
        """The second model."""
        return () if candidate.second is None else (candidate.second,)

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """The second model's own file, and when it is asked."""
        (second,) = self.keys_of_others(candidate)
        return {"second": second, "threshold": candidate.of(Cascade).threshold}

    def graph(self, paths: Sequence[Path], candidate: Candidate) -> onnx.ModelProto:
        """See :func:`cascaded`."""
        front, behind = paths
        return cascaded(front, behind, candidate.of(Cascade).threshold)

    def joined(self, answers: Sequence[NDArray[np.float32]], candidate: Candidate) -> Joined:
        """The second's answers where the first is not sure."""
        (first, second), threshold = answers, candidate.of(Cascade).threshold
        passed_on = float((sureness(first) < np.float32(threshold)).mean())
        return Joined(merged_answers(first, second, threshold), (passed_on,))

    def passed_on(self, joined: Joined) -> float | None:
        """Share of the examples that the second model computes."""
        return joined.asked[0]


STAGE = JoinCascade

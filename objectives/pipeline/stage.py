"""One step between a candidate and its exported file, and where all of them are found."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from greenfront.objectives.pipeline import stages
from greenfront.objectives.pipeline.lineage import Made, StageOutput, lineage_key
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.stages.seeding import seed_generators
from greenfront.spaces.architectures.registry import is_fitted
from greenfront.spaces.candidate import Candidate

__all__ = ["WEIGHTS", "Stage", "StageJob", "load_stages", "outputs_of"]

WEIGHTS = "weights.safetensors"
"""The network that a stage leaves in its folder."""


@dataclass(frozen=True, slots=True)
class StageJob:
    """One run of a stage.

    Attributes:
        candidate: Whose network it is.
        earlier: Outputs of the stages before, by name, the latest last.
        folder: Where to write files.
        seed: Follows from the lineage key. The global generators are set to it already.
    """

    candidate: Candidate
    earlier: Mapping[str, StageOutput]
    folder: Path
    seed: int

    @property
    def parent_weights(self) -> Path:
        """The network that the stage before has left."""
        return list(self.earlier.values())[-1].folder / WEIGHTS


class Stage(ABC):
    """A step between a candidate and its exported file.

    To add one, put a module into :mod:`greenfront.objectives.pipeline.stages` that names a subclass
    as ``STAGE``. Its readings become phases of the outcome. A stage that changes the network loads
    that of the stage before and writes :data:`WEIGHTS` for the one after.

    Attributes:
        name: Unique, part of the lineage key.
        order: Stages run from the lowest to the highest: ``teach`` 10, ``train`` and ``fit`` 20,
            ``prune`` 30, ``sparsify`` 40, ``round`` 50, ``export`` 90.
    """

    name: ClassVar[str]
    order: ClassVar[int]

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def applies(self, candidate: Candidate) -> bool:
        """Whether a candidate asks for this stage; by default each network does."""
        return not is_fitted(candidate.architecture.family)

    @abstractmethod
    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """All that the output depends on besides the output of the stage before, as JSON values."""

    @abstractmethod
    def make(self, job: StageJob) -> Made:
        """Writes the output's files; opens a metered phase for all work that counts.

        Raises:
            TrialFailed: The candidate cannot be made.
        """

    def reshape(self, model: nn.Module, candidate: Candidate) -> None:  # noqa: B027 - a hook
        """Gives an untrained network, in place, the shape that this stage would leave.

        By it candidates are sized before they are trained. By default the shape stays.
        """

    def output(self, candidate: Candidate, earlier: Mapping[str, StageOutput]) -> StageOutput:
        """Makes the stage's output for a candidate, or finds it in the store."""
        key = self.key(candidate, earlier)

        def make(folder: Path) -> Made:
            return self.make(self.job(candidate, earlier, folder))

        return self.runtime.store.output(key, make, stage=self.name)

    def key(self, candidate: Candidate, earlier: Mapping[str, StageOutput]) -> str:
        """The lineage key of the stage's output for a candidate."""
        return self.key_after(candidate, [output.key for output in earlier.values()])

    def key_after(self, candidate: Candidate, earlier: Sequence[str]) -> str:
        """The same from the keys of the outputs before, the latest last, of which none need be."""
        parents = [self.runtime.models.task.facts.fingerprint, *earlier]
        return lineage_key(self.name, parents[-1], self.inputs(candidate))

    def job(
        self, candidate: Candidate, earlier: Mapping[str, StageOutput], folder: Path
    ) -> StageJob:
        """One run of the stage; seeds the global generators for it."""
        seed = (int(self.key(candidate, earlier), 16) + self.runtime.seed) % 2**32
        seed_generators(seed)
        return StageJob(candidate, dict(earlier), folder, seed)


def load_stages(runtime: Runtime) -> tuple[Stage, ...]:
    """All stages in their order, one of each module in the ``stages`` folder."""
    modules = pkgutil.iter_modules(stages.__path__, f"{stages.__name__}.")
    found = [importlib.import_module(module.name).STAGE(runtime) for module in modules]
    return tuple(sorted(found, key=lambda stage: stage.order))


def outputs_of(candidate: Candidate, found: Sequence[Stage]) -> dict[str, StageOutput]:
    """The outputs of all stages that apply to a candidate, by name, made where they are not kept.

    Args:
        candidate: Goes through them.
        found: All stages, in their order.
    """
    outputs: dict[str, StageOutput] = {}
    for stage in found:
        if stage.applies(candidate):
            outputs[stage.name] = stage.output(candidate, outputs)
    return outputs

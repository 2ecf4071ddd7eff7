"""An exported folder that is inspected: its file, the model in it, and the data, read anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from greenfront.errors import DataError
from greenfront.objectives.packaging.claims import Claims
from greenfront.objectives.packaging.package import NETWORK, encoded
from greenfront.objectives.packaging.raw_data import RawData
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.stages.export import MODEL
from greenfront.objectives.stages.evaluate import answers_of, open_artefact
from greenfront.objectives.stages.export import INPUT, OUTPUT, to_onnx
from greenfront.objectives.stages.joining import renamed
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Split
from greenfront.objectives.wrapping.compose import core_of
from greenfront.spaces.candidate import Candidate

__all__ = ["Inspection"]


@dataclass
class Inspection:
    """What verification looks at; everything is made when it is first asked for.

    Attributes:
        folder: Of the exported model.
        claims: What is said of it.
        runtime: Of a fresh process, with the data of the study read anew.
        settings: Of the task.
        scratch: An empty folder.
    """

    folder: Path
    claims: Claims
    runtime: Runtime
    settings: TaskSettings
    scratch: Path

    @cached_property
    def candidate(self) -> Candidate:
        """What the model is claimed to be."""
        return Candidate.from_json(dict(self.claims.candidate))

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / MODEL

    @property
    def network(self) -> Path | None:
        """The torch network; ``None`` where there is none."""
        path = self.folder / NETWORK
        return path if path.is_file() else None

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The file's content.

        Raises:
            DataError: It is no ONNX file.
        """
        try:
            return onnx.load(self.path)
        except Exception as error:  # protobuf's own, which has no types
            raise DataError(f"{MODEL} is no ONNX file ({error})") from error

    @cached_property
    def core(self) -> Path:
        """The model in the file, by itself, under the names that our own files have."""
        core = core_of(self.model)
        for end, name in ((core.graph.input[0], INPUT), (core.graph.output[0], OUTPUT)):
            renamed(core.graph, end.name, name)
            end.name = name
        path = self.scratch / "core.onnx"
        onnx.save(core, path)
        return path

    @cached_property
    def data(self) -> RawData:
        """Raw rows, and what they teach."""
        cache = self.scratch / "data"
        return RawData.read(self.settings, self.candidate, cache=cache, seed=self.runtime.seed)

    @cached_property
    def reference(self) -> Path:
        """The torch network's file at 32 bits; without a network :attr:`untouched`."""
        if self.network is None:
            return self.untouched
        models = self.runtime.models
        model = models.in_target_unit(models.load(self.candidate, self.network), self.candidate)
        return self._written(model, "reference.onnx")

    @cached_property
    def untouched(self) -> Path:
        """A file of the claimed architecture before any pruning, built here."""
        return self.built(self.candidate)

    def built(self, candidate: Candidate, name: str = "untouched.onnx") -> Path:
        """A file of a candidate's architecture at 32 bits and before any pruning."""
        return self._written(self.runtime.models.build(candidate), name)

    def _written(self, model: nn.Module, name: str) -> Path:
        path = self.scratch / name
        to_onnx(model, self.runtime.models.data(self.candidate).train.inputs[:1], path)
        return path

    def answers(self, split: Split) -> NDArray[np.float32]:
        """What the model in the file answers to the inputs of a split that the task has encoded."""
        labelled, padding = encoded(self.runtime, self.candidate, split)
        session = open_artefact(self.core, self.runtime.measuring.threads)
        return answers_of(session, labelled.inputs, padding)

    @property
    def told(self) -> Mapping[str, Any]:
        """The file's metadata."""
        return {each.key: each.value for each in self.model.metadata_props}

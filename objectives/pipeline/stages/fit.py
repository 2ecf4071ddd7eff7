"""Fitting of models that need no training: from the data to the file that is credited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from greenfront.objectives.pipeline.lineage import Made
from greenfront.objectives.pipeline.stage import Stage, StageJob
from greenfront.objectives.pipeline.stages.export import COMPARED_EXAMPLES, MODEL, ExportFacts
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.fit import fit_estimator, fitted_parity, iterations
from greenfront.objectives.stages.fitted_export import fitted_to_onnx
from greenfront.objectives.stages.trees import MOST_TREES
from greenfront.objectives.tasks.task import Labelled, TargetScale
from greenfront.spaces.architectures.estimator import Target
from greenfront.spaces.architectures.registry import estimator, is_fitted
from greenfront.spaces.candidate import Candidate

__all__ = ["STAGE", "Fit", "FitFacts"]


@dataclass(frozen=True, slots=True)
class FitFacts:
    """What is known of a fitted model.

    Attributes:
        epoch: Rounds of boosting, or passes of a solver over the training split.
        export: Of its file.
    """

    epoch: int
    export: ExportFacts


class Fit(Stage):
    """Fits a model of scikit-learn and writes its file.

    The model itself is not stored: reading one back would execute it. Its facts are
    :class:`FitFacts`.
    """

    name = "fit"
    order = 20

    def applies(self, candidate: Candidate) -> bool:
        """Whether it is such a model."""
        return is_fitted(candidate.architecture.family)

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """The model's settings, the study's seed, what fits it, and how its trees are written."""
        return {
            "architecture": candidate.to_json()["architecture"],
            "seed": self.runtime.seed,
            "sklearn": version("scikit-learn"),
            **({"trees": MOST_TREES} if estimator(candidate.architecture.family).of_trees else {}),
        }

    def make(self, job: StageJob) -> Made:
        """Fits, exports and compares."""
        runtime, choice = self.runtime, job.candidate.architecture
        family, facts = estimator(choice.family), runtime.models.task.facts
        data, path, shape = (
            runtime.models.data(job.candidate),
            job.folder / MODEL,
            dict(choice.shape),
        )
        train, validation = (
            Labelled(split.inputs.cpu().numpy(), _in_target_unit(split.labels, facts.target))
            for split in (data.train, data.validation)
        )
        runtime.context.progress(f"fitting {job.candidate.describe()}")
        target: Target = "numbers" if facts.regression else "classes"
        with runtime.context.phase("setup"):  # imports, which are no part of this model
            model = family.estimator(shape, target, job.seed)
        with runtime.context.phase("train") as fitting:
            fit_estimator(
                model,
                train,
                validation if family.stops_early else None,
                classes=None if facts.regression else facts.classes,
                threads=torch.get_num_threads(),
            )
        with runtime.context.phase("export") as export:
            size = fitted_to_onnx(model, facts.input_shape, facts.outputs, path)
            family.save_encoder(shape, runtime.models.task.train.inputs, job.folder)
        with runtime.context.phase("evaluate"):
            session = open_artefact(path, runtime.measuring.threads)
            likeness = fitted_parity(model, session, validation.inputs[:COMPARED_EXAMPLES])
        export_facts = ExportFacts(
            parameters=size.parameters,
            flops=size.flops,
            max_error=likeness.max_error,
            agreement=likeness.agreement,
            relative_error=likeness.relative_error,
        )
        readings = {"train": fitting.total, "export": export.total}
        return Made(readings, FitFacts(iterations(model), export_facts))


def _in_target_unit(labels: Tensor, scale: TargetScale | None) -> NDArray[Any]:
    """Class indices, or numbers as the file is to answer them."""
    found = labels.cpu().numpy()
    return found if scale is None else scale.original(found)


STAGE = Fit

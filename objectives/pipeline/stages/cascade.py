"""Two finished files joined: a second model behind a first one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from greenfront.errors import TrialFailed
from greenfront.objectives.codec import from_json
from greenfront.objectives.pipeline.lineage import Made, StageOutput
from greenfront.objectives.pipeline.stage import WEIGHTS, Stage, StageJob, load_stages
from greenfront.objectives.pipeline.stages.export import MODEL, ExportFacts
from greenfront.objectives.pipeline.stages.fit import FitFacts
from greenfront.objectives.readings import total
from greenfront.objectives.stages.cascade import cascaded, merged_answers, sureness
from greenfront.objectives.stages.evaluate import answers_of, open_artefact
from greenfront.objectives.stages.export import weight_count
from greenfront.objectives.stages.sparsify import zero_share
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.cascade import Cascade

__all__ = ["STAGE", "Join", "file_facts", "finished"]

CLOSE = 1e-4
"""Largest difference of a logit between the joined file and the two by themselves."""

OWN = frozenset((MODEL, WEIGHTS, "answers.npz", "about.json"))
"""What of a folder belongs to the file in it; other files, such as a tokenizer, go along."""


class Join(Stage):
    """Writes one file of a first and a second model; its facts are :class:`ExportFacts`.

    The first is the candidate by itself, the second is made by its own stages, or found where a
    trial of it has left them.
    """

    name = "cascade"
    order = 95

    def applies(self, candidate: Candidate) -> bool:
        """Whether a second model stands behind the candidate."""
        return candidate.second is not None

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """The second model's own file, and when it is asked."""
        second, keys = candidate.second, list[str]()
        if second is None:
            return {}
        for stage in load_stages(self.runtime):
            if stage.applies(second):
                keys.append(stage.key_after(second, keys))
        return {"second": keys[-1], "threshold": candidate.of(Cascade).threshold}

    def make(self, job: StageJob) -> Made:
        """Joins the files, and holds the whole to what its parts answer."""
        runtime, candidate = self.runtime, job.candidate
        second, threshold = _second(candidate), candidate.of(Cascade).threshold
        outputs: dict[str, StageOutput] = {}
        for stage in load_stages(runtime):
            if stage.applies(second):
                outputs[stage.name] = stage.output(second, outputs)
        front, behind = (finished(each).folder / MODEL for each in (job.earlier, outputs))
        path = job.folder / MODEL
        with runtime.context.phase("export") as window:
            inputs, padding = self._shared_inputs(candidate.alone, second)
            onnx.save(cascaded(front, behind, threshold), path)
            for extra in front.parent.iterdir():
                if extra.name not in OWN:
                    shutil.copyfile(extra, job.folder / extra.name)
            first, other, both = (
                self._answers(each, inputs, padding) for each in (front, behind, path)
            )
        _require_joined(both, merged_answers(first, other, threshold))
        passed_on = float((sureness(first) < np.float32(threshold)).mean())
        one, two = (file_facts(each) for each in (job.earlier, outputs))
        facts = ExportFacts(
            parameters=weight_count(path),
            flops=round(one.flops + passed_on * two.flops),
            max_error=max(one.max_error, two.max_error),
            agreement=None,
            unreal=(*one.unreal, *two.unreal),
            floating_layers=one.floating_layers + two.floating_layers,
            zeros=zero_share(path),
            passed_on=passed_on,
        )
        # What both share, such as a training, is paid once.
        known = {output.key for output in job.earlier.values()}
        apart = [r for o in outputs.values() if o.key not in known for r in o.readings.values()]
        readings = {"join": window.total} | ({"second": total(apart)} if apart else {})
        return Made(readings, facts)

    def _answers(
        self, path: Path, inputs: NDArray[Any], padding: int | None
    ) -> NDArray[np.float32]:
        return answers_of(open_artefact(path, self.runtime.measuring.threads), inputs, padding)

    def _shared_inputs(
        self, first: Candidate, second: Candidate
    ) -> tuple[NDArray[Any], int | None]:
        """The validation examples as both take them.

        Raises:
            TrialFailed: They take different ones (cause ``"cannot join"``).
        """
        one, two = (self.runtime.models.data(each).validation for each in (first, second))
        inputs, others = one.inputs.cpu().numpy(), two.inputs.cpu().numpy()
        if one.padding != two.padding or not np.array_equal(inputs, others):
            raise TrialFailed(
                "cannot join",
                f"both models of a cascade must read the same inputs, but "
                f"{first.architecture.family} and {second.architecture.family} encode the data "
                "differently",
            )
        return inputs, one.padding


def finished(outputs: Mapping[str, StageOutput]) -> StageOutput:
    """The output of a candidate's stages that holds its file."""
    return next(outputs[name] for name in ("cascade", "fit", "export") if name in outputs)


def file_facts(outputs: Mapping[str, StageOutput]) -> ExportFacts:
    """What is known of a candidate's file."""
    output = finished(outputs)
    if "cascade" not in outputs and "fit" in outputs:
        return from_json(FitFacts, output.facts).export
    return from_json(ExportFacts, output.facts)


def _second(candidate: Candidate) -> Candidate:
    if candidate.second is None:
        raise TrialFailed("error", "a cascade needs a second model, and this candidate names none")
    return candidate.second


def _require_joined(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> None:
    if not np.allclose(found, wanted, atol=CLOSE):
        wrong = int((np.abs(found - wanted) > CLOSE).any(axis=1).sum())
        raise TrialFailed(
            "cannot join",
            f"the joined file must answer as its two models do, but differs for {wrong} of "
            f"{len(wanted)} examples: please report this with the study file",
        )


STAGE = Join

"""The stages behind the export that write one file of several models."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from greenfront.errors import TrialFailed
from greenfront.objectives.codec import from_json
from greenfront.objectives.pipeline.answers import ANSWERS
from greenfront.objectives.pipeline.lineage import ABOUT, Made, StageOutput
from greenfront.objectives.pipeline.stage import WEIGHTS, Stage, StageJob, load_stages, outputs_of
from greenfront.objectives.pipeline.stages.export import MODEL, ExportFacts
from greenfront.objectives.pipeline.stages.fit import FitFacts
from greenfront.objectives.readings import total
from greenfront.objectives.stages.evaluate import answers_of, open_artefact
from greenfront.objectives.stages.export import weight_count
from greenfront.objectives.stages.sparsify import zero_share
from greenfront.spaces.candidate import Candidate

__all__ = ["Joined", "Joining", "file_facts", "finished"]

CLOSE = 1e-4
"""Largest difference of an answer between the joined file and its models by themselves, as a share
of the largest answer where that is above 1."""

OWN = frozenset((MODEL, WEIGHTS, ANSWERS, ABOUT))
"""What of a folder belongs to the file in it; other files, such as a tokenizer, go along."""

JOINED = ("ensemble", "cascade")
"""Names of the stages that join files, the last one first."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What several models answer to the validation examples, and what one of it all should.

    Attributes:
        answers: Of the whole, ``[n, outputs]``.
        asked: Share of the examples that each model but the first computes.
    """

    answers: NDArray[np.float32]
    asked: tuple[float, ...]


class Joining(Stage):
    """Writes one file of a candidate by itself and of others; its facts are :class:`ExportFacts`.

    The others are made by their own stages, or found where trials of them have left them.
    """

    @abstractmethod
    def others(self, candidate: Candidate) -> tuple[Candidate, ...]:
        """The other models; none where the stage does not apply."""

    @abstractmethod
    def graph(self, paths: Sequence[Path], candidate: Candidate) -> onnx.ModelProto:
        """Joins the files of all models, the candidate's own first."""

    @abstractmethod
    def joined(self, answers: Sequence[NDArray[np.float32]], candidate: Candidate) -> Joined:
        """What the joined file has to answer, given the answers of each."""

    def applies(self, candidate: Candidate) -> bool:
        """Whether there are other models."""
        return bool(self.others(candidate))

    def keys_of_others(self, candidate: Candidate) -> list[str]:
        """The lineage key of each other model's own file."""
        found, stages = [], load_stages(self.runtime)
        for other in self.others(candidate):
            keys = list[str]()
            for stage in stages:
                if stage.applies(other):
                    keys.append(stage.key_after(other, keys))
            found.append(keys[-1])
        return found

    def make(self, job: StageJob) -> Made:
        """Joins the files, and holds the whole to what its parts answer."""
        runtime, candidate, others = self.runtime, job.candidate, self.others(job.candidate)
        stages = load_stages(runtime)
        behind = [outputs_of(other, stages) for other in others]
        outputs = [job.earlier, *behind]
        paths = [finished(each).folder / MODEL for each in outputs]
        path = job.folder / MODEL
        with runtime.context.phase("export") as window:
            inputs, padding = self._shared_inputs([candidate.alone, *others])
            onnx.save(self.graph(paths, candidate), path)
            for extra in paths[0].parent.iterdir():
                if extra.name not in OWN:
                    shutil.copyfile(extra, job.folder / extra.name)
            alone = [self._answers(each, inputs, padding) for each in paths]
            joined = self.joined(alone, candidate)
            _require_joined(self._answers(path, inputs, padding), joined.answers)
        first, *rest = (file_facts(each) for each in outputs)
        asked = zip(rest, joined.asked, strict=True)
        facts = ExportFacts(
            parameters=weight_count(path),
            flops=first.flops + round(sum(share * each.flops for each, share in asked)),
            max_error=max(each.max_error for each in (first, *rest)),
            agreement=None,
            unreal=tuple(reason for each in (first, *rest) for reason in each.unreal),
            floating_layers=sum(each.floating_layers for each in (first, *rest)),
            zeros=zero_share(path),
            passed_on=self.passed_on(joined),
        )
        # What several share, such as a training, is paid once.
        known = {output.key for output in job.earlier.values()}
        apart = {
            output.key: output
            for made in behind
            for output in made.values()
            if output.key not in known
        }
        paid = [reading for output in apart.values() for reading in output.readings.values()]
        readings = {"join": window.total} | ({"others": total(paid)} if paid else {})
        return Made(readings, facts)

    def passed_on(self, joined: Joined) -> float | None:
        """See :class:`Outcome`; ``None`` where every model computes every example."""
        del joined
        return None

    def _answers(
        self, path: Path, inputs: NDArray[np.float32], padding: int | None
    ) -> NDArray[np.float32]:
        return answers_of(open_artefact(path, self.runtime.measuring.threads), inputs, padding)

    def _shared_inputs(
        self, candidates: Sequence[Candidate]
    ) -> tuple[NDArray[np.float32], int | None]:
        """The validation examples as all of the models take them.

        Raises:
            TrialFailed: They take different ones (cause ``"cannot join"``).
        """
        first, *rest = candidates
        mine = self.runtime.models.data(first).validation
        inputs = mine.inputs.cpu().numpy()
        for other in rest:
            theirs = self.runtime.models.data(other).validation
            if theirs.padding != mine.padding or not np.array_equal(
                theirs.inputs.cpu().numpy(), inputs
            ):
                raise TrialFailed(
                    "cannot join",
                    f"the models of one file must read the same inputs, but "
                    f"{first.architecture.family} and {other.architecture.family} encode the data "
                    "differently",
                )
        return inputs, mine.padding


def finished(outputs: Mapping[str, StageOutput]) -> StageOutput:
    """The output of a candidate's stages that holds its file."""
    return next(outputs[name] for name in (*JOINED, "fit", "export") if name in outputs)


def file_facts(outputs: Mapping[str, StageOutput]) -> ExportFacts:
    """What is known of a candidate's file."""
    output = finished(outputs)
    if "fit" in outputs and output is outputs["fit"]:
        return from_json(FitFacts, output.facts).export
    return from_json(ExportFacts, output.facts)


def _require_joined(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> None:
    scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
    if not np.allclose(found, wanted, rtol=0.0, atol=CLOSE * scale):
        wrong = int((np.abs(found - wanted) > CLOSE * scale).any(axis=1).sum())
        raise TrialFailed(
            "cannot join",
            f"the joined file must answer as its models do, but differs for {wrong} of "
            f"{len(wanted)} examples: please report this with the study file",
        )

"""Makes the file of a trial into one that takes raw input, and measures what it does."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from greenfront.errors import TrialFailed
from greenfront.objectives.codec import to_json
from greenfront.objectives.metric_scores import decided
from greenfront.objectives.packaging.claims import FileFacts, Judged
from greenfront.objectives.packaging.raw_data import RawData
from greenfront.objectives.packaging.shipped import Said, in_turn_with_parts, open_shipped, said
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.stages.export import MODEL
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.runtime_options import RuntimeAdvice
from greenfront.objectives.stages.cascade import parts_of, sureness
from greenfront.objectives.stages.evaluate import answers_of, open_artefact
from greenfront.objectives.stages.examples import Examples
from greenfront.objectives.stages.export import weight_count
from greenfront.objectives.stages.parity import Parity, parity
from greenfront.objectives.stages.reality import executed_operators
from greenfront.objectives.stages.session import open_session, session_options, tell_threads
from greenfront.objectives.tasks.pixels import DEFAULT_BACKGROUND
from greenfront.objectives.tasks.recipe import ArrayRecipe, TextRecipe
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Labelled, Split
from greenfront.objectives.wrapping.compose import compose_model, kind_of
from greenfront.objectives.wrapping.labels import Labels
from greenfront.spaces.architectures.checkpoint import TOKENIZER
from greenfront.spaces.candidate import Candidate

__all__ = [
    "NETWORK",
    "PackageRequest",
    "Packaged",
    "differing",
    "encoded",
    "judged",
    "likeness",
    "package",
    "passed_on",
]

NETWORK = "model.safetensors"
PHASE = "package"
"""In a study's ledger: what exporting its models has taken."""
CLOSE = 1e-5
"""Largest difference of a probability between the whole file and the model in it."""


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """What is to be packaged.

    Attributes:
        candidate: Of the trial.
        artefact: The trial's file, relative to the lineage store.
        threshold: From which probability on the positive class is decided for; ``None`` without.
        folder: Where to write.
        runtime: How the trial's file is best run; ``None`` where that was not measured.
    """

    candidate: Candidate
    artefact: str
    threshold: float | None
    folder: Path
    runtime: RuntimeAdvice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaged(FileFacts):
    """What was written, and what it does.

    Attributes:
        kind: ``"table"``, ``"image"``, ``"array"`` or ``"text"``.
        resizes: Whether the file takes images of any size.
    """

    kind: str
    resizes: bool


def package(runner: TrialRunner, request: PackageRequest, settings: TaskSettings) -> Packaged:
    """Writes ``model.onnx``, and where there are such a tokenizer and the torch network.

    Args:
        runner: Of the study.
        request: What, and where.
        settings: Of the task.

    Raises:
        TrialFailed: The trial's file is gone and cannot be made again (cause ``"gone"``), or the
            whole file does not answer as the model in it (cause ``"cannot export"``).
    """
    runtime, candidate = runner.runtime, request.candidate
    facts, cache = runtime.models.task.facts, runtime.store.root.parent / "data"
    with runtime.context.phase(PHASE):
        delivered = runner.delivered(candidate, request.artefact)
        core, path = delivered.path, request.folder / MODEL
        data = RawData.read(settings, candidate, cache=cache, seed=runtime.seed)
        labels = Labels(
            facts.class_names,
            request.threshold,
            runtime.judged_by.metric.positive,
            facts.target.name if facts.target else "",
        )
        told = {"background": json.dumps(settings.background or DEFAULT_BACKGROUND)}
        if request.runtime is not None:
            told["runtime"] = json.dumps(to_json(request.runtime.options))
        whole = compose_model(onnx.load(core), data.recipe, labels, told)
        tell_threads(whole, runtime.measuring.threads)
        onnx.save(whole, path)
        for split in ("validation", "test"):
            _require_same(runtime, candidate, core, path, data, labels, split)
        if isinstance(data.recipe, TextRecipe):
            shutil.copyfile(core.parent / TOKENIZER, request.folder / TOKENIZER)
        like = None
        if delivered.network is not None:
            network = request.folder / NETWORK
            shutil.copyfile(delivered.network, network)
            like = likeness(runtime, candidate, network, core)
        one = data.feed(data.rows("validation")[:1])
        operators = dict(executed_operators(path, one))
    second = candidate.second
    measuring = replace(runtime.measuring, entire=second is not None)
    cost, beside = in_turn_with_parts(path, core, data, runtime, candidate, measuring, PHASE)
    return Packaged(
        kind=kind_of(data.recipe),
        resizes=isinstance(data.recipe, ArrayRecipe) and data.recipe.resizes,
        labels=labels,
        validation=judged(runtime, candidate, core, request.threshold, "validation"),
        test=judged(runtime, candidate, core, request.threshold, "test"),
        file_bytes=path.stat().st_size,
        weights=weight_count(core),
        operators=operators,
        cost=cost.own,
        plain_cost=cost.plain,
        parts=beside,
        reference=cost.reference,
        max_error=None if like is None else like.max_error,
        agreement=None if like is None else like.agreement,
        notes=delivered.notes,
        passed_on=None if second is None else passed_on(runtime, candidate, core),
    )


def judged(
    runtime: Runtime, candidate: Candidate, core: Path, threshold: float | None, split: Split
) -> Judged:
    """What a model's own file scores on a split that the task has encoded."""
    labelled, padding = encoded(runtime, candidate, split)
    session = open_artefact(core, runtime.measuring.threads)
    answers, labels = answers_of(session, labelled.inputs, padding), labelled.labels
    target = runtime.models.task.facts.target
    if target is not None:
        labels = target.original(labels)
    found = runtime.judged_by.judge_at(threshold, answers, labels)
    return Judged(found.score, len(labels), found.decisions, found.resampled)


def passed_on(runtime: Runtime, candidate: Candidate, core: Path) -> float:
    """Share of the validation examples that the second model of a cascade computes.

    Raises:
        DataError: The file is no cascade.
    """
    parts = parts_of(onnx.load(core))
    labelled, padding = encoded(runtime, candidate, "validation")
    session = open_session(parts.first, session_options(runtime.measuring.threads))
    sure = sureness(answers_of(session, labelled.inputs, padding))
    return float((sure < np.float32(parts.threshold)).mean())


def likeness(runtime: Runtime, candidate: Candidate, network: Path, core: Path) -> Parity:
    """How a model's file answers beside its torch network, on the test split.

    Raises:
        TrialFailed: The network is not the one that was stored.
    """
    model = runtime.models.load(candidate, network)
    model = runtime.models.in_target_unit(model, candidate)
    labelled, padding = encoded(runtime, candidate, "test")
    examples = Examples.of(labelled, runtime.models.device, padding)
    return parity(model, open_artefact(core, runtime.measuring.threads), examples)


def encoded(runtime: Runtime, candidate: Candidate, split: Split) -> tuple[Labelled, int | None]:
    """A whole split as a candidate's family takes it, and what fills short texts up."""
    task = runtime.models.task
    whole = {
        "train": task.train,
        "validation": task.whole_validation or task.validation,
        "test": task.test,
    }[split]
    padding = runtime.models.data(candidate).validation.padding
    return runtime.models.encoded(candidate, whole), padding


def differing(spoken: Said, answers: NDArray[np.float32], labels: Labels) -> NDArray[np.bool_]:
    """For which examples a whole file says something else than its model answers, ``[n]``.

    Args:
        spoken: What the file says of raw rows.
        answers: Of the model to the same rows, prepared.
        labels: What answers stand for.
    """
    given, shares = spoken
    if shares is None:
        return np.asarray(given != answers[:, 0], dtype=np.bool_)
    names = np.array(labels.classes, dtype=object)
    wanted = names[decided(answers, labels.threshold, labels.positive)]
    off = np.abs(shares - torch.from_numpy(answers).softmax(1).numpy()).max(axis=1) > CLOSE
    return np.asarray((given != wanted) | off, dtype=np.bool_)


def _require_same(
    runtime: Runtime,
    candidate: Candidate,
    core: Path,
    whole: Path,
    data: RawData,
    labels: Labels,
    split: Split,
) -> None:
    """Compares what the whole file says of raw rows with the answers that were judged."""
    labelled, padding = encoded(runtime, candidate, split)
    threads = runtime.measuring.threads
    answers = answers_of(open_artefact(core, threads), labelled.inputs, padding)
    spoken = said(open_shipped(whole, threads), data, split)
    different = int(np.count_nonzero(differing(spoken, answers, labels)))
    if different:
        raise TrialFailed(
            "cannot export",
            f"the file with its preprocessing must answer as the model in it, but differs for "
            f"{different} of {len(answers)} {split} examples: please report this with the study "
            "file",
        )

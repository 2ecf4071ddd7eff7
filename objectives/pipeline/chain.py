"""The stages of a trial's life, each metered, each kept under its lineage key.

    build → train (with distillation) → prune → fine-tune → sparsify → round → export → quantize

Outputs are shared: a pruned child loads the trained parent, a student the teacher's answers. A key
is that of the parent and of all that this stage depends on besides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from greenfront.errors import TrialFailed
from greenfront.objectives.context import StageContext
from greenfront.objectives.pipeline.compile_policy import CompilePolicy
from greenfront.objectives.pipeline.exporting import MODEL, WEIGHTS, Exporting, computes_int8
from greenfront.objectives.pipeline.lineage import Kept, LineageStore, lineage_key
from greenfront.objectives.pipeline.model_factory import ModelFactory, family_of
from greenfront.objectives.readings import Reading, total
from greenfront.objectives.stages.distil import (
    TeacherOutputs,
    load_teacher_outputs,
    save_teacher_outputs,
    teach,
)
from greenfront.objectives.stages.evaluate import Measuring
from greenfront.objectives.stages.fake_quant import fake_quantized
from greenfront.objectives.stages.importance import load_importance
from greenfront.objectives.stages.prune import cumulative_ratio, parameter_count, widths
from greenfront.objectives.stages.sparsify import (
    zero_weakest,
    zeros_kept,
)
from greenfront.objectives.stages.structure import save_network
from greenfront.objectives.stages.train import EpochReport
from greenfront.spaces.candidate import Candidate

__all__ = ["Chain", "Made"]


@dataclass(frozen=True, slots=True)
class _Lessons:
    """What a teacher says of the training examples, and what teacher and answers cost to make."""

    content: TeacherOutputs
    reading: Reading


@dataclass(frozen=True, slots=True)
class Made:
    """What came out at the end of the chain.

    Attributes:
        path: The exported file.
        phases: Energy of all stages, also of those whose output another trial had made.
        epochs: Passes over the training split until the best weights.
        removed: Share of the parameters that pruning removed.
        facts: Of the export: ``weights``, ``flops``, ``max_error``, ``agreement``, ``unreal``,
            ``zeros``, ``floating_layers`` and, where they were made, ``compressed_bytes``.
    """

    path: Path
    phases: Mapping[str, Reading]
    epochs: int
    removed: float
    facts: Mapping[str, Any]


class Chain:
    """The stages of one task's trials.

    Args:
        networks: Of the task.
        store: Where stage outputs are kept.
        context: Meters the phases.
        seed: Of the study; each training adds its own lineage.
        measuring: See :class:`Exporting`.
        teacher: The candidate that students learn from; ``None`` where none is distilled.
        torch_file: See :class:`Exporting`.
    """

    def __init__(
        self,
        networks: ModelFactory,
        store: LineageStore,
        context: StageContext,
        *,
        seed: int,
        measuring: Measuring,
        teacher: Candidate | None = None,
        torch_file: bool = False,
    ) -> None:
        self.networks = networks
        self.store = store
        self.context = context
        self.seed = seed
        self.teacher = teacher
        self.stepping = CompilePolicy(networks, store, context, seed=seed)
        self.exporting = Exporting(
            networks, store, context, seed=seed, measuring=measuring, torch_file=torch_file
        )

    def made(self, candidate: Candidate) -> Made:
        """Goes through all stages of a candidate, or finds what they have left.

        Raises:
            TrialFailed: The training diverged, or the network cannot be pruned.
        """
        phases: dict[str, Reading] = {}
        self.stepping.prepare(candidate)
        lessons = self._lessons(candidate)
        if lessons:
            phases["teacher"] = lessons.reading
        key, kept = self._train_key(candidate), self._trained(candidate, lessons)
        epochs, removed = int(kept.facts["epoch"]), 0.0
        phases |= kept.readings
        if candidate.pruning.ratio:
            key, kept = self._pruned(candidate, lessons, key, kept)
            removed = float(kept.facts["removed"])
            phases |= kept.readings
        if candidate.sparsity.share:
            key, kept = self._sparsified(candidate, lessons, key, kept)
            phases |= kept.readings
        if candidate.precision.quantization_aware:
            key, kept = self._rounded(candidate, lessons, key, kept)
            phases |= kept.readings
        exported = self.exporting.exported(candidate, key, kept)
        phases |= exported.readings
        return Made(exported.folder / MODEL, phases, epochs, removed, exported.facts)

    def _train_key(self, candidate: Candidate) -> str:
        knobs = candidate.to_json()
        del knobs["pruning"], knobs["sparsity"], knobs["precision"]
        del knobs["training"]["fine_tune_epochs"]
        taught = candidate.distillation is not None and self.teacher is not None
        teacher = self._train_key(self.teacher) if taught and self.teacher else None
        knobs |= {"seed": self.seed, "teacher": teacher}
        weights = family_of(candidate).fingerprint()
        return lineage_key(
            "train", self.networks.task.facts.fingerprint, {**knobs, "weights": weights}
        )

    def _trained(
        self, candidate: Candidate, lessons: _Lessons | None, phase: str = "train"
    ) -> Kept:
        key = self._train_key(candidate)

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            torch.manual_seed(self._seed_of(key))
            with self.context.phase(phase) as window:
                model = self.networks.build(candidate)
                what = "training" if phase == "train" else phase
                epoch = self._fit(model, candidate, key, lessons, what, tuning=False)
                save_network(model, folder / WEIGHTS)
            return {"train": window.total}, {"epoch": epoch}

        return self.store.made(key, make)[0]

    def _pruned(
        self, candidate: Candidate, lessons: _Lessons | None, parent_key: str, parent: Kept
    ) -> tuple[str, Kept]:
        epochs = candidate.training.fine_tune_epochs
        key = lineage_key(
            "prune", parent_key, {**candidate.to_json()["pruning"], "fine_tune_epochs": epochs}
        )

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            with self.context.phase("size"):  # of the process, not of this model
                load_importance(candidate.pruning.importance)
            torch.manual_seed(self._seed_of(key))
            model = self.networks.load(candidate, parent.folder / WEIGHTS)
            before, original = parameter_count(model), widths(model)
            steps = candidate.pruning.steps(epochs)
            readings: dict[str, list[Reading]] = {"prune": [], "fine-tune": []}
            for step in range(1, steps + 1):
                ratio = cumulative_ratio(candidate.pruning.ratio, step, steps)
                so_far = replace(candidate.pruning, ratio=ratio)
                with self.context.phase("prune") as pruning:
                    self.networks.prune(model, candidate, so_far, original if steps > 1 else None)
                with self.context.phase("fine-tune") as tuning:
                    length = 1 if step < steps else max(1, epochs - steps + 1)
                    self._fit(model, candidate, key, lessons, "fine-tuning", epochs=length)
                readings["prune"].append(pruning.total)
                readings["fine-tune"].append(tuning.total)
            save_network(model, folder / WEIGHTS)
            removed = 1 - parameter_count(model) / before
            return {name: total(parts) for name, parts in readings.items()}, {"removed": removed}

        return key, self.store.made(key, make)[0]

    def _sparsified(
        self, candidate: Candidate, lessons: _Lessons | None, parent_key: str, parent: Kept
    ) -> tuple[str, Kept]:
        """Sets weights to zero and tunes the others."""
        epochs = candidate.training.fine_tune_epochs
        share = candidate.sparsity.share
        knobs = {"sparsity": share, "fine_tune_epochs": epochs}
        key = lineage_key("sparsify", parent_key, knobs)

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            torch.manual_seed(self._seed_of(key))
            model = self.networks.load(candidate, parent.folder / WEIGHTS)
            with self.context.phase("prune") as pruning:
                zero_weakest(model, share)
            with self.context.phase("fine-tune") as tuning, zeros_kept(model):
                self._fit(model, candidate, key, lessons, "tuning with zeros")
            save_network(model, folder / WEIGHTS)
            return {"sparsify": total([pruning.total, tuning.total])}, {}

        return key, self.store.made(key, make)[0]

    def _rounded(
        self, candidate: Candidate, lessons: _Lessons | None, parent_key: str, parent: Kept
    ) -> tuple[str, Kept]:
        """Tunes the network with its weights rounded to the bits that they will have."""
        bits = candidate.precision.bits
        narrow = self.exporting.reduce_range and computes_int8(candidate.precision)
        epochs = candidate.training.fine_tune_epochs
        key = lineage_key(
            "round", parent_key, {"bits": bits, "reduce_range": narrow, "fine_tune_epochs": epochs}
        )

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            torch.manual_seed(self._seed_of(key))
            with self.context.phase("quantize") as window:
                model = self.networks.load(candidate, parent.folder / WEIGHTS)
                zeros = zeros_kept(model) if candidate.sparsity.share else nullcontext()
                with zeros, fake_quantized(model, bits, reduce_range=narrow):
                    self._fit(model, candidate, key, lessons, f"tuning at {bits} bits")
                save_network(model, folder / WEIGHTS)
            return {"round": window.total}, {}

        return key, self.store.made(key, make)[0]

    def _lessons(self, candidate: Candidate) -> _Lessons | None:
        """The teacher's answers to the training examples, computed once a study."""
        teacher = self.teacher
        if candidate.distillation is None:
            return None
        if teacher is None:
            raise TrialFailed("error", "a student needs a teacher, and this study names none")
        hidden = candidate.distillation.hidden_weight > 0
        self.stepping.prepare(teacher)
        parent = self._trained(teacher, None, phase="teacher")

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            train_split = self.networks.data(teacher).train
            with self.context.phase("teacher") as window:
                model = self.networks.load(teacher, parent.folder / WEIGHTS)
                head = family_of(teacher).head(model) if hidden else None
                save_teacher_outputs(teach(model, train_split, head), folder / WEIGHTS)
            return {"teach": window.total}, {}

        knobs = {"features": True} if hidden else {}
        kept, _ = self.store.made(lineage_key("teach", self._train_key(teacher), knobs), make)
        content = load_teacher_outputs(kept.folder / WEIGHTS, self.networks.device)
        return _Lessons(content, total([*parent.readings.values(), *kept.readings.values()]))

    def _fit(
        self,
        model: nn.Module,
        candidate: Candidate,
        key: str,
        lessons: _Lessons | None,
        what: str,
        *,
        tuning: bool = True,
        epochs: int | None = None,
    ) -> int:
        training = candidate.training
        length = epochs or (training.fine_tune_epochs if tuning else training.epochs)
        return self.networks.fit(
            model,
            candidate,
            seed=self._seed_of(key),
            lessons=lessons.content if lessons else None,
            on_epoch=self._say(what, candidate.training.batch_size),
            say=self.context.progress,
            compiled=self.stepping.compiled(candidate, length),
            tuning=tuning,
            epochs=epochs,
        )

    def _seed_of(self, key: str) -> int:
        return (int(key, 16) + self.seed) % 2**32

    def _say(self, what: str, batch: int) -> Callable[[EpochReport], None]:
        def say(report: EpochReport) -> None:
            short = f", {report.at_once} at once to spare memory" if report.at_once < batch else ""
            self.context.progress(
                f"{what}, epoch {report.epoch} of {report.epochs}: {report.accuracy:.1%}{short}"
            )

        return say

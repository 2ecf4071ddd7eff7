"""The stages of a trial's life, each metered, each kept under its lineage key.

    build → train (with distillation) → prune → fine-tune → round → export → quantize

Outputs are shared: a pruned child loads the trained parent, a student the teacher's answers. A key
is that of the parent and of all that this stage depends on besides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from greenfront.errors import TrialFailed
from greenfront.objectives.host import Host
from greenfront.objectives.networks import Networks, family_of
from greenfront.objectives.readings import Reading, total
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.export import to_onnx, weight_count
from greenfront.objectives.stages.fake_quant import fake_quantized
from greenfront.objectives.stages.lineage import Kept, LineageStore, lineage_key
from greenfront.objectives.stages.parity import parity
from greenfront.objectives.stages.prune import cumulative_ratio, parameter_count, widths
from greenfront.objectives.stages.quantize import Int8Choice, fastest_int8, has_vnni, quantize
from greenfront.objectives.stages.reality import Claim, unreal
from greenfront.objectives.stages.structure import save_network
from greenfront.objectives.stages.train import EpochReport, predict
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import Candidate, Precision

__all__ = ["MODEL", "Chain", "Made"]

WEIGHTS = "weights.safetensors"
MODEL = "model.onnx"
REFERENCE = "reference.onnx"
CALIBRATION_EXAMPLES = 128
COMPARED_EXAMPLES = 256
"""Enough to see whether file and network agree; all of a large split would cost minutes."""


@dataclass(frozen=True, slots=True)
class _Lessons:
    """What a teacher says of the training examples, and what teacher and answers cost to make."""

    logits: Tensor
    reading: Reading


@dataclass(frozen=True, slots=True)
class Made:
    """What came out at the end of the chain.

    Attributes:
        path: The exported file.
        phases: Energy of all stages, also of those whose output another trial had made.
        epochs: Passes over the training split until the best weights.
        removed: Share of the parameters that pruning removed.
        facts: Of the export: ``weights``, ``flops``, ``max_error``, ``agreement``, ``unreal``.
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
        host: Meters the phases.
        seed: Of the study; each training adds its own lineage.
        threads: Of the runtime, where int8 recipes are compared.
        teacher: The candidate that students learn from; ``None`` where none is distilled.
    """

    def __init__(
        self,
        networks: Networks,
        store: LineageStore,
        host: Host,
        *,
        seed: int,
        threads: int,
        teacher: Candidate | None = None,
    ) -> None:
        self.networks = networks
        self.store = store
        self.host = host
        self.seed = seed
        self.threads = threads
        self.teacher = teacher
        self._reduce_range = not has_vnni()

    def made(self, candidate: Candidate) -> Made:
        """Goes through all stages of a candidate, or finds what they have left.

        Raises:
            TrialFailed: The training diverged, or the network cannot be pruned.
        """
        phases: dict[str, Reading] = {}
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
        if candidate.precision.quantization_aware:
            key, kept = self._rounded(candidate, lessons, key, kept)
            phases |= kept.readings
        exported = self._exported(candidate, key, kept)
        phases |= exported.readings
        return Made(exported.folder / MODEL, phases, epochs, removed, exported.facts)

    def int8(self, name: str) -> Int8Choice:
        """The int8 recipe that is fastest for a family on this machine.

        Measured once, on the family's untrained baseline, and remembered.
        """
        baseline = self.networks.baseline(name)
        key = lineage_key(
            "int8",
            architecture(name).fingerprint(),
            {
                **baseline.to_json(),
                "input": list(self.networks.task.facts.input_shape),
                "classes": self.networks.task.facts.classes,
                "reduce_range": self._reduce_range,
                "threads": self.threads,
            },
        )

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            data = self.networks.data(baseline)
            with self.host.phase("size") as window:
                torch.manual_seed(self.seed)
                model = self.networks.untrained(baseline)
                path = folder / REFERENCE
                to_onnx(model, data.train.inputs[:1], path)
                choice = fastest_int8(
                    path,
                    self._calibration(data),
                    reduce_range=self._reduce_range,
                    threads=self.threads,
                )
                path.unlink()
            return {"size": window.total}, choice.to_json()

        return Int8Choice.from_json(self.store.made(key, make)[0].facts)

    def _train_key(self, candidate: Candidate) -> str:
        knobs = candidate.to_json()
        del knobs["pruning"], knobs["precision"], knobs["training"]["fine_tune_epochs"]
        taught = candidate.distillation is not None and self.teacher is not None
        teacher = self.teacher.key if taught and self.teacher else None
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
            with self.host.phase(phase) as window:
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
            torch.manual_seed(self._seed_of(key))
            model = self.networks.load(candidate, parent.folder / WEIGHTS)
            before, original = parameter_count(model), widths(model)
            steps = max(1, epochs // 2) if candidate.pruning.gradual else 1
            readings: dict[str, list[Reading]] = {"prune": [], "fine-tune": []}
            for step in range(1, steps + 1):
                ratio = cumulative_ratio(candidate.pruning.ratio, step, steps)
                so_far = replace(candidate.pruning, ratio=ratio)
                with self.host.phase("prune") as pruning:
                    self.networks.prune(model, candidate, so_far, original if steps > 1 else None)
                with self.host.phase("fine-tune") as tuning:
                    length = 1 if step < steps else max(1, epochs - steps + 1)
                    self._fit(model, candidate, key, lessons, "fine-tuning", epochs=length)
                readings["prune"].append(pruning.total)
                readings["fine-tune"].append(tuning.total)
            save_network(model, folder / WEIGHTS)
            removed = 1 - parameter_count(model) / before
            return {name: total(parts) for name, parts in readings.items()}, {"removed": removed}

        return key, self.store.made(key, make)[0]

    def _rounded(
        self, candidate: Candidate, lessons: _Lessons | None, parent_key: str, parent: Kept
    ) -> tuple[str, Kept]:
        """Tunes the network with its weights rounded to the bits that they will have."""
        bits = candidate.precision.bits
        narrow = self._reduce_range and _computes_int8(candidate.precision)
        epochs = candidate.training.fine_tune_epochs
        key = lineage_key(
            "round", parent_key, {"bits": bits, "reduce_range": narrow, "fine_tune_epochs": epochs}
        )

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            torch.manual_seed(self._seed_of(key))
            with self.host.phase("quantize") as window:
                model = self.networks.load(candidate, parent.folder / WEIGHTS)
                with fake_quantized(model, bits, reduce_range=narrow):
                    self._fit(model, candidate, key, lessons, f"tuning at {bits} bits")
                save_network(model, folder / WEIGHTS)
            return {"round": window.total}, {}

        return key, self.store.made(key, make)[0]

    def _exported(self, candidate: Candidate, parent_key: str, parent: Kept) -> Kept:
        precision = candidate.precision
        recipe = (
            self.int8(candidate.architecture.family).recipe if _computes_int8(precision) else None
        )
        key = lineage_key(
            "export",
            parent_key,
            {
                "bits": precision.bits,
                "weight_only": precision.weight_only,
                "recipe": recipe,
                "reduce_range": self._reduce_range,
            },
        )

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            path, reference, readings = folder / MODEL, folder / REFERENCE, {}
            data = self.networks.data(candidate)
            with self.host.phase("export") as window:
                model = self.networks.build(candidate)
                unpruned = sum(w.numel() for w in model.parameters() if w.ndim >= 2)
                model = self.networks.restore(model, parent.folder / WEIGHTS)
                flops = self.networks.flops(model, candidate)
                to_onnx(model, data.train.inputs[:1], reference)
            readings["export"] = window.total
            if precision.bits == 32:
                reference.rename(path)
                reference = path
            else:
                with self.host.phase("quantize") as window:
                    self.quantized(candidate, data, reference, path)
                readings["quantize"] = window.total
            with self.host.phase("evaluate"):
                session = open_artefact(path, self.threads)
                compared = Examples(
                    data.validation.inputs[:COMPARED_EXAMPLES],
                    data.validation.labels[:COMPARED_EXAMPLES],
                    data.validation.padding,
                )
                likeness = parity(model, session, compared)
                claim = Claim(precision, unpruned if candidate.pruning.ratio else None)
                reasons = unreal(claim, reference, path, compared.inputs[:1].cpu().numpy())
            weights = weight_count(reference)
            if reference != path:
                reference.unlink()
            return readings, {
                "flops": flops,
                "weights": weights,
                "max_error": likeness.max_error,
                "agreement": likeness.agreement,
                "unreal": list(reasons),
            }

        return self.store.made(key, make)[0]

    def _lessons(self, candidate: Candidate) -> _Lessons | None:
        """The teacher's answers to the training examples, computed once a study."""
        teacher = self.teacher
        if candidate.distillation is None:
            return None
        if teacher is None:
            raise TrialFailed("error", "a student needs a teacher, and this study names none")
        parent = self._trained(teacher, None, phase="teacher")

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            train_split = self.networks.data(teacher).train
            with self.host.phase("teacher") as window:
                model = self.networks.load(teacher, parent.folder / WEIGHTS)
                logits = predict(model, train_split.inputs, train_split.padding)
                save_file({"logits": logits.cpu()}, folder / WEIGHTS)
            return {"teach": window.total}, {}

        kept, _ = self.store.made(lineage_key("teach", self._train_key(teacher), {}), make)
        logits = load_file(kept.folder / WEIGHTS)["logits"].to(self.networks.device)
        return _Lessons(logits, total([*parent.readings.values(), *kept.readings.values()]))

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
        return self.networks.fit(
            model,
            candidate,
            seed=self._seed_of(key),
            teacher_logits=lessons.logits if lessons else None,
            on_epoch=self._say(what, candidate.training.batch_size),
            tuning=tuning,
            epochs=epochs,
        )

    def quantized(
        self, candidate: Candidate, data: TrainingData, source: Path, target: Path
    ) -> Path:
        """Writes ``target`` with a candidate's bits; gives ``source`` back where they are 32."""
        precision = candidate.precision
        if precision.bits == 32:
            return source
        quantize(
            source,
            target,
            precision,
            recipe=self.int8(candidate.architecture.family).recipe
            if _computes_int8(precision)
            else "dynamic",
            calibration=self._calibration(data),
            reduce_range=self._reduce_range,
        )
        return target

    @staticmethod
    def _calibration(data: TrainingData) -> Any:
        return data.train.batch(slice(0, CALIBRATION_EXAMPLES)).cpu().numpy()

    def _seed_of(self, key: str) -> int:
        return (int(key, 16) + self.seed) % 2**32

    def _say(self, what: str, batch: int) -> Callable[[EpochReport], None]:
        def say(report: EpochReport) -> None:
            short = f", {report.at_once} at once: memory is short" if report.at_once < batch else ""
            self.host.progress(
                f"{what}, epoch {report.epoch} of {report.epochs}: {report.accuracy:.1%}{short}"
            )

        return say


def _computes_int8(precision: Precision) -> bool:
    return precision.bits == 8 and not precision.weight_only

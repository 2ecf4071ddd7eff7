"""The life of one trial: a chain of stages, each metered, each kept under its lineage key.

    build → size → train (with distillation) → prune → fine-tune → export → quantize → evaluate

The chain's outputs are shared: a pruned child loads the trained parent, a student the teacher.
What is credited in the end is measured on the exported file, loaded again.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from greenfront.errors import TrialFailed
from greenfront.objectives.host import Host
from greenfront.objectives.outcome import Outcome, Sizing
from greenfront.objectives.readings import Reading, total
from greenfront.objectives.stages.evaluate import accuracy, inference_cost, open_artefact
from greenfront.objectives.stages.export import quantize, to_onnx, weight_count
from greenfront.objectives.stages.lineage import Kept, LineageStore, lineage_key
from greenfront.objectives.stages.prune import prune, reshape_to
from greenfront.objectives.stages.train import EpochReport, TrainingData, predict, train
from greenfront.objectives.tasks.task import Task
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import Candidate

__all__ = ["Measuring", "TrialRunner"]

WEIGHTS = "weights.safetensors"
MODEL = "model.onnx"
CALIBRATION_EXAMPLES = 128


@dataclass(frozen=True, slots=True)
class Measuring:
    """How inference is measured.

    Attributes:
        batch: Examples a call.
        threads: Threads of the runtime.
        blocks: Metered repetitions; the median counts.
        block_seconds: Length of one repetition.
    """

    batch: int = 1
    threads: int = 1
    blocks: int = 7
    block_seconds: float = 0.1


@dataclass(frozen=True, slots=True)
class _Lessons:
    """What a teacher says of the training examples, and what teacher and answers cost to make."""

    logits: Tensor
    reading: Reading


class TrialRunner:
    """Runs trials of one task, one after the other, in one process.

    Args:
        task: The data.
        store: Where stage outputs are kept.
        host: Meters the phases.
        seed: Of the study; each training adds its own lineage.
        measuring: How inference is measured.
        teacher: The candidate that students learn from; ``None`` where none is distilled.
        device: Where to train.
    """

    def __init__(
        self,
        task: Task,
        store: LineageStore,
        host: Host,
        *,
        seed: int,
        measuring: Measuring,
        teacher: Candidate | None = None,
        device: str = "cpu",
    ) -> None:
        self.task = task
        self.store = store
        self.host = host
        self.seed = seed
        self.measuring = measuring
        self.teacher = teacher
        self.device = device
        self.data = TrainingData.of(task, device)
        self._reduce_range = not _has_vnni()

    def size(self, candidate: Candidate, *, blocks: int = 3) -> Sizing:
        """Exports the untrained, compressed graph and measures one prediction of it."""
        with tempfile.TemporaryDirectory() as folder, self.host.phase("size"):
            torch.manual_seed(self.seed)
            model = self._build(candidate)
            if candidate.pruning.ratio:
                self._prune(model, candidate)
            flops = self._flops(model)
            path = Path(folder) / MODEL
            to_onnx(model, self.task.facts.input_shape, path)
            weights, path = weight_count(path), self._quantized(candidate, path)
            session, size = open_artefact(path, self.measuring.threads), path.stat().st_size
        cost = inference_cost(
            session,
            self.task.validation.inputs,
            self.host,
            phase="size",
            batch=self.measuring.batch,
            blocks=blocks,
            block_seconds=self.measuring.block_seconds / 2,
        )
        return Sizing(weights, flops, size, cost.reading, cost.latency_seconds)

    def run(self, candidate: Candidate) -> Outcome:
        """The whole life of one candidate.

        Raises:
            TrialFailed: The training diverged, or the network cannot be pruned.
            TrialStopped: The host found that it cannot be worth its training.
        """
        _reset_peak_memory()
        self.host.sized(self.size(candidate))
        phases: dict[str, Reading] = {}
        lessons = self._lessons(candidate)
        if lessons:
            phases["teacher"] = lessons.reading
        kept = self._trained(candidate)
        key, epochs, removed = self._train_key(candidate), int(kept.facts["epoch"]), 0.0
        phases |= kept.readings
        if candidate.pruning.ratio:
            key, kept = self._pruned(candidate, key, kept)
            removed = float(kept.facts["removed"])
            phases |= kept.readings
        exported = self._exported(candidate, key, kept)
        phases |= exported.readings
        path = exported.folder / MODEL
        session = open_artefact(path, self.measuring.threads)
        with self.host.phase("evaluate"):
            score = accuracy(session, self.task.validation)
        cost = inference_cost(
            session,
            self.task.validation.inputs,
            self.host,
            phase="inference",
            batch=self.measuring.batch,
            blocks=self.measuring.blocks,
            block_seconds=self.measuring.block_seconds,
        )
        return Outcome(
            accuracy=score,
            phases=phases,
            inference=cost.reading,
            latency_seconds=cost.latency_seconds,
            parameters=int(exported.facts["weights"]),
            flops=int(exported.facts["flops"]),
            artefact_bytes=path.stat().st_size,
            pruned_ratio=removed,
            epochs=epochs,
            peak_memory_bytes=_peak_memory(),
            artefact=str(path.relative_to(self.store.root)),
        )

    def epoch_cost(self, candidate: Candidate) -> Reading:
        """What one epoch of training costs, for a forecast; keeps nothing."""
        torch.manual_seed(self.seed)
        model = self._build(candidate)
        with self.host.phase("forecast") as window:
            train(model, self.data, replace(candidate.training, epochs=1), seed=self.seed)
        return window.total

    # --- the chain ---------------------------------------------------------------------------

    def _train_key(self, candidate: Candidate) -> str:
        knobs = candidate.to_json()
        del knobs["pruning"], knobs["precision"], knobs["training"]["fine_tune_epochs"]
        taught = candidate.distillation is not None and self.teacher is not None
        teacher = self.teacher.key if taught and self.teacher else None
        return lineage_key(
            "train", self.task.facts.fingerprint, {**knobs, "seed": self.seed, "teacher": teacher}
        )

    def _trained(self, candidate: Candidate, phase: str = "train") -> Kept:
        key = self._train_key(candidate)
        lessons = self._lessons(candidate)

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            torch.manual_seed(self._seed_of(key))
            with self.host.phase(phase) as window:
                model = self._build(candidate)
                epoch = train(
                    model,
                    self.data,
                    candidate.training,
                    seed=self._seed_of(key),
                    distillation=candidate.distillation,
                    teacher_logits=lessons.logits if lessons else None,
                    on_epoch=self._say("training" if phase == "train" else phase),
                )
                _save(model, folder / WEIGHTS)
            return {"train": window.total}, {"epoch": epoch}

        return self.store.made(key, make)[0]

    def _pruned(self, candidate: Candidate, parent_key: str, parent: Kept) -> tuple[str, Kept]:
        key = lineage_key(
            "prune",
            parent_key,
            {
                "ratio": candidate.pruning.ratio,
                "fine_tune_epochs": candidate.training.fine_tune_epochs,
            },
        )
        lessons = self._lessons(candidate)

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            torch.manual_seed(self._seed_of(key))
            with self.host.phase("prune") as pruning:
                model = self._load(candidate, parent)
                removed = self._prune(model, candidate)
            with self.host.phase("fine-tune") as tuning:
                train(
                    model,
                    self.data,
                    candidate.training,
                    seed=self._seed_of(key),
                    stage="fine-tune",
                    distillation=candidate.distillation,
                    teacher_logits=lessons.logits if lessons else None,
                    on_epoch=self._say("fine-tuning"),
                )
                _save(model, folder / WEIGHTS)
            readings = {"prune": pruning.total, "fine-tune": tuning.total}
            return readings, {"removed": removed}

        return key, self.store.made(key, make)[0]

    def _exported(self, candidate: Candidate, parent_key: str, parent: Kept) -> Kept:
        key = lineage_key(
            "export",
            parent_key,
            {"bits": candidate.precision.bits, "reduce_range": self._reduce_range},
        )

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            path, readings = folder / MODEL, {}
            with self.host.phase("export") as window:
                model = self._load(candidate, parent)
                flops = self._flops(model)
                to_onnx(model, self.task.facts.input_shape, path)
            readings["export"] = window.total
            weights = weight_count(path)
            if candidate.precision.bits != 32:
                with self.host.phase("quantize") as window:
                    self._quantized(candidate, path).replace(path)
                readings["quantize"] = window.total
            return readings, {"flops": flops, "weights": weights}

        return self.store.made(key, make)[0]

    def _lessons(self, candidate: Candidate) -> _Lessons | None:
        """The teacher's answers to the training examples, computed once a study."""
        teacher = self.teacher
        if candidate.distillation is None:
            return None
        if teacher is None:
            raise TrialFailed("error", "a student needs a teacher, and this study names none")
        parent = self._trained(teacher, phase="teacher")

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            with self.host.phase("teacher") as window:
                logits = predict(self._load(teacher, parent), self.data.train.inputs)
                save_file({"logits": logits.cpu()}, folder / WEIGHTS)
            return {"teach": window.total}, {}

        kept, _ = self.store.made(lineage_key("teach", self._train_key(teacher), {}), make)
        logits = load_file(kept.folder / WEIGHTS)["logits"].to(self.device)
        return _Lessons(logits, total([*parent.readings.values(), *kept.readings.values()]))

    # --- single steps ------------------------------------------------------------------------

    def _build(self, candidate: Candidate) -> nn.Module:
        facts = self.task.facts
        family = architecture(candidate.architecture.family)
        module = family.build(dict(candidate.architecture.shape), facts.input_shape, facts.classes)
        return module.to(self.device)

    def _load(self, candidate: Candidate, kept: Kept) -> nn.Module:
        model = self._build(candidate)
        reshape_to(model, load_file(kept.folder / WEIGHTS, device=self.device))
        return model

    def _prune(self, model: nn.Module, candidate: Candidate) -> float:
        head = architecture(candidate.architecture.family).head(model)
        return prune(model, self.data.train.inputs[:2], candidate.pruning.ratio, head)

    def _quantized(self, candidate: Candidate, path: Path) -> Path:
        bits = candidate.precision.bits
        if bits == 32:
            return path
        target = path.with_name(f"model-{bits}.onnx")
        quantize(
            path,
            target,
            bits,
            recipe=architecture(candidate.architecture.family).int8_recipe,
            calibration=self.task.train.inputs[:CALIBRATION_EXAMPLES],
            reduce_range=self._reduce_range,
        )
        return target

    def _flops(self, model: nn.Module) -> int:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model.eval()(self.data.validation.inputs[:1])
        return int(counter.get_total_flops())

    def _seed_of(self, key: str) -> int:
        return (int(key, 16) + self.seed) % 2**32

    def _say(self, what: str) -> Any:
        def say(report: EpochReport) -> None:
            self.host.progress(
                f"{what}, epoch {report.epoch} of {report.epochs}: {report.accuracy:.1%}"
            )

        return say


def _save(model: nn.Module, path: Path) -> None:
    save_file({name: t.contiguous().cpu() for name, t in model.state_dict().items()}, path)


def _has_vnni() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_vnni" in flags or "avx_vnni" in flags


def _reset_peak_memory() -> None:
    # Linux only, and only where the kernel lets a process clear its own high-water mark.
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_memory() -> int | None:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None

"""The life of one trial: a chain of stages, each metered, each kept under its lineage key.

    build → size → train (with distillation) → prune → fine-tune → export → quantize → evaluate

The chain's outputs are shared: a pruned child loads the trained parent, a student the teacher.
What is credited in the end is measured on the exported file, loaded again.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from onnxruntime import InferenceSession

from greenfront.errors import TrialStopped
from greenfront.objectives.context import StageContext
from greenfront.objectives.memory import (
    peak_memory_bytes,
    release_memory,
    reset_peak_memory,
)
from greenfront.objectives.outcome import Batched, Outcome, Repeat, Sizing
from greenfront.objectives.pipeline.chain import Chain
from greenfront.objectives.pipeline.exporting import MODEL
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.evaluate import (
    InferenceCost,
    Measuring,
    accuracy,
    inference_cost,
    open_artefact,
)
from greenfront.objectives.stages.export import to_onnx, weight_count
from greenfront.objectives.stages.train import train
from greenfront.objectives.tasks.task import Task
from greenfront.spaces.candidate import Candidate

__all__ = ["TrialRunner"]

FEW_BLOCKS = 3

BATCH = 32
"""Of the second way in which the front is measured, where the study's is one by one."""


class TrialRunner:
    """Runs trials of one task, one after the other, in one process.

    Args:
        task: The data.
        store: Where stage outputs are kept.
        context: Meters the phases.
        seed: Of the study; each training adds its own lineage.
        measuring: How inference is measured.
        teacher: The candidate that students learn from; ``None`` where none is distilled.
        device: Where to train.
        torch_file: See :class:`~greenfront.objectives.pipeline.exporting.Exporting`.
    """

    def __init__(
        self,
        task: Task,
        store: LineageStore,
        context: StageContext,
        *,
        seed: int,
        measuring: Measuring,
        teacher: Candidate | None = None,
        device: str = "cpu",
        torch_file: bool = False,
    ) -> None:
        self.task = task
        self.context = context
        self.seed = seed
        self.measuring = measuring
        self.networks = ModelFactory(task, device)
        self.chain = Chain(
            self.networks,
            store,
            context,
            seed=seed,
            measuring=measuring,
            teacher=teacher,
            torch_file=torch_file,
        )

    def size(self, candidate: Candidate, *, blocks: int = 3) -> Sizing:
        """Exports the untrained, compressed graph and measures one prediction of it."""
        data = self.networks.data(candidate)
        with tempfile.TemporaryDirectory() as folder, self.context.phase("size"):
            torch.manual_seed(self.seed)
            model = self.networks.untrained(candidate)
            if candidate.pruning.ratio:
                # Which channels go makes no difference to the cost, only how many.
                by_size = replace(candidate.pruning, importance="magnitude")
                self.networks.prune(model, candidate, by_size)
            flops = self.networks.flops(model, candidate)
            path = Path(folder) / MODEL
            to_onnx(model, data.train.inputs[:1], path)
            weights = weight_count(path)
            if candidate.precision.bits < 32:
                small = path.with_name("small.onnx")
                self.chain.exporting.quantized(candidate, data, path, small, trained=False)
                path = small
            session, size = open_artefact(path, self.measuring.threads), path.stat().st_size
        few = replace(
            self.measuring,
            block_seconds=self.measuring.block_seconds / 2,
            least_blocks=blocks,
            most_blocks=blocks,
        )
        cost = self._cost(session, candidate, "size", few)
        return Sizing(weights, flops, size, cost.reading, cost.latency_seconds)

    def run(self, candidate: Candidate) -> Outcome:
        """The whole life of one candidate.

        Raises:
            TrialFailed: The training diverged, or the network cannot be pruned.
            TrialStopped: The search found that it cannot be worth its training.
        """
        release_memory()
        reset_peak_memory()
        if candidate.pruning.scope == "uniform":
            # A global cut depends on trained weights.
            objection = self.context.size_verdict(self.size(candidate))
            if objection is not None:
                raise TrialStopped(objection)
        made = self.chain.made(candidate)
        session = open_artefact(made.path, self.measuring.threads)
        score = self._accuracy(session, candidate, "evaluate")
        cost = self._cost(session, candidate, "inference", self.measuring)
        facts = made.facts
        return Outcome(
            accuracy=score,
            phases=made.phases,
            inference=cost.reading,
            latency_seconds=cost.latency_seconds,
            parameters=int(facts["weights"]),
            flops=int(facts["flops"]),
            artefact_bytes=made.path.stat().st_size,
            pruned_ratio=made.removed,
            epochs=made.epochs,
            peak_memory_bytes=peak_memory_bytes(),
            artefact=str(made.path.relative_to(self.chain.store.root)),
            max_error=float(facts["max_error"]),
            agreement=float(facts["agreement"]),
            unreal=tuple(facts["unreal"]),
            floating_layers=int(facts["floating_layers"]),
            torch_file_error=facts["torch_file_error"],
            zeros=float(facts["zeros"]),
            compressed_bytes=facts["compressed_bytes"],
            inference_spread=cost.spread,
        )

    def repeat(self, candidate: Candidate, artefact: str, *, batched: bool) -> Repeat | None:
        """Measures a model again that a trial has left; nothing is trained.

        Args:
            candidate: What it was made of.
            artefact: See :class:`Outcome`.
            batched: Whether to measure it in batches of another size, too.

        Returns:
            ``None`` where the file is no longer there.
        """
        path = self.chain.store.root / artefact
        if not path.is_file():
            return None
        session = open_artefact(path, self.measuring.threads)
        score = self._accuracy(session, candidate, "repeat", in_full=True)
        # One of several: its own interval need not be narrow.
        briefly = replace(self.measuring, most_blocks=self.measuring.least_blocks)
        cost = self._cost(session, candidate, "repeat", briefly)
        other = self._otherwise_batched(session, candidate) if batched else None
        return Repeat(score, cost.reading, cost.latency_seconds, other)

    def _otherwise_batched(self, session: InferenceSession, candidate: Candidate) -> Batched:
        """One prediction in a batch where the study's are single ones, and the other way round."""
        examples = len(self.networks.data(candidate).validation)
        few = replace(
            self.measuring,
            batch=min(BATCH if self.measuring.batch == 1 else 1, examples),
            least_blocks=FEW_BLOCKS,
            most_blocks=FEW_BLOCKS,
        )
        cost = self._cost(session, candidate, "repeat", few)
        return Batched(few.batch, cost.reading, cost.latency_seconds)

    def _accuracy(
        self, session: InferenceSession, candidate: Candidate, phase: str, *, in_full: bool = False
    ) -> float:
        """On what trials are judged by, or on the whole validation split."""
        validation = self.networks.data(candidate).validation
        judged = replace(self.task.validation, inputs=validation.inputs.cpu().numpy())
        if in_full and self.task.whole_validation is not None:
            judged = self.networks.encoded(candidate, self.task.whole_validation)
        with self.context.phase(phase):
            return accuracy(session, judged, validation.padding)

    def _cost(
        self, session: InferenceSession, candidate: Candidate, phase: str, measuring: Measuring
    ) -> InferenceCost:
        """Of a prediction on the examples that trials are judged by."""
        validation = self.networks.data(candidate).validation
        return inference_cost(
            session,
            validation.inputs.cpu().numpy(),
            self.context,
            phase=phase,
            measuring=measuring,
            padding=validation.padding,
        )

    def epoch_cost(self, candidate: Candidate) -> Reading:
        """What one epoch of training costs, for a forecast; keeps nothing."""
        torch.manual_seed(self.seed)
        data, model = self.networks.data(candidate), self.networks.build(candidate)
        with self.context.phase("forecast") as window:
            train(model, data, replace(candidate.training, epochs=1), seed=self.seed)
        return window.total

    def check(self, name: str) -> None:
        """Builds a family's baseline and answers one example with it.

        Raises:
            UsageError: Its weights are missing or do not fit, or the user's function is wrong.
        """
        with self.context.phase("size"), torch.no_grad():
            baseline = self.networks.baseline(name)
            self.networks.build(baseline).eval()(
                self.networks.data(baseline).validation.batch(slice(0, 1))
            )

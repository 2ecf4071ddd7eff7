"""The life of one trial: a chain of stages, each metered, each kept under its lineage key.

    teach → train → prune → sparsify → round → export → evaluate
                                                 fit → evaluate

The second is that of models that need no training. The outputs of stages are shared: a pruned child
loads the trained parent, a student the teacher's answers. What is credited in the end is measured
on the exported file, loaded again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from greenfront.errors import TrialFailed, TrialStopped
from greenfront.objectives.judging import Judgement
from greenfront.objectives.memory import peak_memory_bytes, release_memory, reset_peak_memory
from greenfront.objectives.outcome import Outcome, Repeat, Sizing
from greenfront.objectives.pipeline.answers import ANSWERS, save_answers
from greenfront.objectives.pipeline.family_check import check_family
from greenfront.objectives.pipeline.int8_policy import quantized
from greenfront.objectives.pipeline.joining import file_facts, finished
from greenfront.objectives.pipeline.lineage import StageOutput
from greenfront.objectives.pipeline.manifest import needs_room
from greenfront.objectives.pipeline.model_factory import network_of
from greenfront.objectives.pipeline.prediction_costs import MeteredFile, PredictionCosts
from greenfront.objectives.pipeline.preprocessing import preprocessing_cost
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.stage import WEIGHTS, load_stages, outputs_of
from greenfront.objectives.pipeline.stages.export import MODEL, ExportFacts
from greenfront.objectives.pipeline.stages.fit import Fit
from greenfront.objectives.readings import Reading, total
from greenfront.objectives.stages.evaluate import answers_of
from greenfront.objectives.stages.export import to_onnx, weight_count
from greenfront.objectives.stages.predict import seen_through
from greenfront.objectives.stages.seeding import seed_generators
from greenfront.objectives.stages.train import train
from greenfront.spaces.architectures.architecture import FamilyFacts
from greenfront.spaces.architectures.registry import architecture, is_fitted
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.layer_bits import LayerBits

__all__ = ["Delivered", "TrialRunner"]


APART = (
    "it is made of several models, whose torch networks are not in the folder: export the trials "
    "that it was made of for these"
)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The file of a finished trial, to be handed out.

    Attributes:
        path: From inputs to logits or numbers.
        network: The torch network that it was made from; ``None`` where there is none, or where it
            is no longer kept.
        notes: What is different from what the trial left, in words.
    """

    path: Path
    network: Path | None
    notes: tuple[str, ...] = ()


class TrialRunner:
    """Runs trials of one task, one after the other, in one process."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.stages = load_stages(runtime)
        self._costs = PredictionCosts(runtime)

    def size(self, candidate: Candidate) -> Sizing:
        """Exports the untrained, compressed graph and measures a prediction of it, if none has yet.

        A fitted model has no graph before it is fitted: that is done and kept.
        """
        runtime, models = self.runtime, self.runtime.models
        if is_fitted(candidate.architecture.family):
            return self._fitted_size(candidate)
        with tempfile.TemporaryDirectory() as folder, runtime.context.phase("size"):
            seed_generators(runtime.seed)
            model = models.untrained(candidate)
            for stage in self.stages:
                if stage.applies(candidate):
                    stage.reshape(model, candidate)
            flops = models.flops(model, candidate)
            path = Path(folder) / MODEL
            to_onnx(model, models.data(candidate).train.inputs[:1], path)
            weights = weight_count(path)
            if candidate.precision.bits < 32:
                small = path.with_name("small.onnx")
                quantized(runtime, candidate, path, small, trained=False)
                path = small
            size = path.stat().st_size
            cost = self._costs.sizing(self._costs.file(path, candidate))
        return Sizing(weights, flops, size, cost.inference, cost.latency_seconds)

    def run(self, candidate: Candidate) -> Outcome:
        """The whole life of one candidate.

        Raises:
            TrialFailed: The training diverged, or the network cannot be pruned.
            TrialStopped: The search found that it cannot be worth its training, or the rest of it.
        """
        release_memory()
        reset_peak_memory()
        if _is_sized(candidate):
            objection = self.runtime.context.size_verdict(self.size(candidate))
            if objection is not None:
                raise TrialStopped(objection)
        outputs = outputs_of(candidate, self.stages)
        path, epochs, facts = _delivered(outputs)
        file = self._costs.file(path, candidate)
        if file.left_on_cpu:
            told = ", ".join(f"{n} {name}" for name, n in sorted(file.left_on_cpu.items()))
            self.runtime.context.progress(f"on the CPU, and not on the GPU: {told}")
        judgement = self._judgement(file, "evaluate", keep=path.parent)
        unmeasured = Outcome(
            score=judgement.score,
            phases={name: r for each in outputs.values() for name, r in each.readings.items()},
            inference=total([]),
            latency_seconds=0.0,
            artefact_bytes=path.stat().st_size,
            pruned_ratio=outputs["prune"].facts["removed"] if "prune" in outputs else 0.0,
            epochs=epochs,
            peak_memory_bytes=peak_memory_bytes(),
            artefact=str(path.relative_to(self.runtime.store.root)),
            preprocessing=preprocessing_cost(self.runtime, candidate),
            resampled=judgement.resampled,
            decisions=judgement.decisions,
            graph=file.graph,
            curve=_curve(outputs),
            left_on_cpu=dict(file.left_on_cpu),
            **asdict(facts),
        )
        return self._costs.measured(file, unmeasured)

    def repeat(self, candidate: Candidate, artefact: str, *, batched: bool) -> Repeat | None:
        """Measures a trial's file again; ``None`` where it is not here, nor where machines share.

        A torn one is made again, which trains only where what it is made of is torn as well; where
        this version writes another file, ``None``.
        """
        path = self.runtime.store.root / artefact
        intact = self.runtime.store.holds_intact(Path(artefact))  # now, if another machine had it
        if not path.is_file():
            return None
        if not intact and _delivered(outputs_of(candidate, self.stages))[0] != path:
            return None
        file = self._costs.file(path, candidate)
        judgement = self._judgement(file, "repeat")
        reading = self._costs.again(file)
        other = self._costs.otherwise_batched(file) if batched else None
        return Repeat(
            score=judgement.score,
            inference=reading.inference,
            latency_seconds=reading.latency_seconds,
            batched=other,
            resampled=judgement.resampled,
            decisions=judgement.decisions,
            id=reading.id,
            spread=reading.spread,
            machine=reading.machine,
            preprocessing=preprocessing_cost(self.runtime, candidate),
        )

    def judged(self, candidate: Candidate) -> Judgement:
        """How the file of a candidate answers the validation examples; no prediction is metered.

        Raises:
            TrialFailed: It cannot be made.
        """
        release_memory()
        path = _delivered(outputs_of(candidate, self.stages))[0]
        return self._judgement(self._costs.file(path, candidate), "evaluate")

    def delivered(self, candidate: Candidate, artefact: str) -> Delivered:
        """A finished trial's file, made again from its weights where it is gone.

        Args:
            candidate: Of the trial.
            artefact: The file, relative to the store.

        Raises:
            TrialFailed: Neither file nor weights are kept any more (cause ``"gone"``): the model
                would have to be trained again.
        """
        store, path = self.runtime.store, self.runtime.store.root / artefact
        was_there = store.holds_intact(Path(artefact))
        if was_there and not (candidate.stands_alone and candidate.needs_network):
            # The file that was measured, even where this version would write another one.
            return Delivered(path, None, (APART,) if candidate.needs_network else ())
        stages = [stage for stage in self.stages if stage.applies(candidate)]
        keys: list[str] = []
        for stage in stages:
            keys.append(stage.key_after(candidate, keys))
            if stage.name in ("train", "fit"):
                break
        if not store.holds(keys[-1]):
            if was_there:
                return Delivered(path, None, ("the torch network is no longer kept",))
            raise TrialFailed(
                "gone",
                f"neither its file nor its weights are in {store.root} any more: restore that "
                "folder, or search again under another name",
            )
        outputs = outputs_of(candidate, self.stages)
        made, _, _ = _delivered(outputs)
        notes = () if was_there else ("the file was gone and was made again from its weights",)
        if not candidate.stands_alone and candidate.needs_network:
            return Delivered(made, None, (*notes, APART))
        if "fit" in outputs:
            return Delivered(made, None, notes)
        *_, before, _ = outputs.values()
        return Delivered(made, before.folder / WEIGHTS, notes)

    def epoch_cost(self, candidate: Candidate) -> Reading:
        """What one epoch of training costs, for a forecast; keeps nothing.

        That of a fitted model is the whole fit, which is kept.
        """
        if is_fitted(candidate.architecture.family):
            return self._fitted(candidate).readings["train"]
        models, seed = self.runtime.models, self.runtime.seed
        seed_generators(seed)
        data, model = models.data(candidate), models.build(candidate)
        with self.runtime.context.phase("forecast") as window:
            body = network_of(candidate).frozen_body(model)
            if body is None:
                train(model, data, replace(candidate.training, epochs=1), seed)
            else:  # its part is computed once for all epochs
                seen_through(body, data.first(1 / candidate.training.epochs))
        return window.total

    def check(self, name: str) -> FamilyFacts:
        """The facts of a family, whose baseline is built, and tried where the code is the user's.

        Raises:
            UsageError: Its weights are missing or do not fit, or its networks cannot be searched.
        """
        family, models = architecture(name), self.runtime.models
        if family.foreign:
            return check_family(self.runtime, name)
        with self.runtime.context.phase("setup"), torch.no_grad():
            baseline = models.baseline(name)
            models.build(baseline).eval()(models.data(baseline).validation.batch(slice(0, 1)))
        return family.facts()

    def _fitted(self, candidate: Candidate) -> StageOutput:
        (fit,) = (stage for stage in self.stages if isinstance(stage, Fit))
        return fit.output(candidate, {})

    def _fitted_size(self, candidate: Candidate) -> Sizing:
        path, _, facts = _delivered({"fit": self._fitted(candidate)})
        file = self._costs.file(path, candidate)
        cost = self._costs.sizing(file)
        return Sizing(
            facts.parameters,
            facts.flops,
            path.stat().st_size,
            cost.inference,
            cost.latency_seconds,
        )

    def _judgement(self, file: MeteredFile, phase: str, keep: Path | None = None) -> Judgement:
        """On what trials are judged by, whose answers are kept; else on all of validation."""
        candidate = file.candidate
        models, facts = self.runtime.models, self.runtime.models.task.facts
        validation, whole = models.data(candidate).validation, models.task.whole_validation
        inputs, labels = validation.inputs.cpu().numpy(), models.task.validation.labels
        if keep is None and whole is not None:
            judged = models.encoded(candidate, whole)
            inputs, labels = judged.inputs, judged.labels
        if facts.target is not None:
            labels = facts.target.original(labels)
        with self.runtime.context.phase(phase):
            answers = answers_of(file.session, inputs, validation.padding)
            judgement = self.runtime.judged_by.judge(answers, labels)
        if keep is not None:
            with needs_room(self.runtime.store.root):
                save_answers(keep / ANSWERS, answers, labels)
        return judgement


def _curve(outputs: Mapping[str, StageOutput]) -> tuple[float, ...]:
    """Of its training; what was trained by an older version has none."""
    if "train" not in outputs:
        return ()
    return tuple(map(float, outputs["train"].facts.get("curve", ())))


def _delivered(outputs: Mapping[str, StageOutput]) -> tuple[Path, int, ExportFacts]:
    """The file of a candidate, the passes that made it, and what is known of it."""
    facts = outputs["fit" if "fit" in outputs else "train"].facts
    return finished(outputs).folder / MODEL, int(facts["epoch"]), file_facts(outputs)


def _is_sized(candidate: Candidate) -> bool:
    """Whether what it costs is known before it is trained.

    What is fitted has no size before, a global cut depends on trained weights, and what is made
    after a search is made of trained models.
    """
    fitted = is_fitted(candidate.architecture.family)
    later = not (candidate.stands_alone and candidate.of(LayerBits).untouched)
    return not fitted and not later and candidate.pruning.scope == "uniform"

"""How the networks of a family behave that is code of the user's, tried before a search begins.

build → answer → train a little → store and load → export → prune
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from greenfront.errors import TrialFailed, UsageError, first_line
from greenfront.objectives.codec import from_json
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.stage import WEIGHTS
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.export import to_onnx
from greenfront.objectives.stages.fingerprint import TOLERANCES, answers_to, largest_difference
from greenfront.objectives.stages.parity import parity
from greenfront.objectives.stages.train import train
from greenfront.spaces.architectures.architecture import FamilyFacts
from greenfront.spaces.architectures.registry import network
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.training import Training
from greenfront.spaces.user_code import FAULTS

__all__ = ["check_family"]

SEED = 1
ROWS = 8
"""Examples that are answered together and one by one."""

TRAINED_EXAMPLES, TRAINED_BATCH = 32, 16
"""Two steps of training: enough to move whatever moves in training."""

FILE_TOLERANCE = 1e-3
"""Largest difference between file and network, as a share of the largest answer."""

RATIO = 0.5
"""Of the channels that are pruned to see whether they can be."""


def check_family(runtime: Runtime, name: str) -> FamilyFacts:
    """The facts of a family, with what trying its baseline has shown; remembered once found.

    Raises:
        UsageError: Its networks cannot be searched; the message says why, and what to do.
    """

    def measure(baseline: Candidate, folder: Path) -> FamilyFacts:
        try:
            return _tried(runtime.models, name, baseline, folder)
        except TrialFailed as failure:
            raise UsageError(f"architecture {name!r}: {failure.reason}") from failure

    knobs = {"torch": torch.__version__}
    return from_json(FamilyFacts, runtime.calibrated("family", name, knobs, measure))


def _tried(models: ModelFactory, name: str, baseline: Candidate, folder: Path) -> FamilyFacts:
    data, declared = models.data(baseline), network(name).facts()
    rows = data.validation.batch(slice(0, ROWS))
    model = models.build(baseline, SEED)
    remarks = _require_answers(model, rows, models.task.facts.outputs)
    again = models.build(baseline, SEED).state_dict()
    if any(not torch.equal(again[key], held) for key, held in model.state_dict().items()):
        remarks.append(
            "its first weights do not follow the seed, so that its training cannot be repeated: "
            "let torch, numpy.random or random draw them"
        )
    _train_a_little(model, data)
    file = folder / WEIGHTS
    models.save(model, baseline, file, SEED)
    restored = models.load(baseline, file)
    _require_exported(restored, data.validation, folder)
    cannot_prune = declared.cannot_prune or _why_not_pruned(models, baseline, file)
    file.unlink()
    return replace(declared, cannot_prune=cannot_prune, remarks=tuple(remarks))


def _require_answers(model: nn.Module, rows: Tensor, outputs: int) -> list[str]:
    """Checks what a network answers in evaluation; returns what is to be said of it."""
    given = rows.clone()
    together = _answers(model, rows)
    if not torch.equal(rows, given):
        raise _refused(
            "its network must leave its inputs as they are, but changes them in place, which would "
            "change the data: work on a new tensor, as in x = x - mean, or on x.clone()"
        )
    single = [_answers(model, row[None]) for row in rows]
    for count, answers in ((len(rows), together), (1, single[0])):
        if list(answers.shape) != [count, outputs]:
            raise _refused(
                f"its network must give logits [{count}, {outputs}] for a batch of {count}, but "
                f"gave {list(answers.shape)}: end it with a layer of so many outputs as it is told "
                "there are classes, and squeeze no axis of the batch"
            )
    broken = int((~torch.isfinite(together)).any(1).sum())
    if broken:
        raise _refused(
            f"its network must answer finite numbers, but {broken} of {len(rows)} examples got NaN "
            "or infinity before any training: initialise it otherwise, or divide by no zero"
        )
    tolerance = TOLERANCES[rows.device.type]
    difference = largest_difference(_answers(model, rows), together)
    if difference > tolerance:
        raise _refused(
            "its network must answer alike each time in evaluation, but two calls on the same "
            f"examples differ by {difference:.2g} of the largest answer: draw random numbers only "
            "while self.training, as in F.dropout(x, p, self.training)"
        )
    difference = largest_difference(torch.cat(single), together)
    if difference > tolerance:
        raise _refused(
            "its network must answer each example alike whatever stands beside it in a batch, but "
            f"answers differ by {difference:.2g} of the largest between one by one and together: "
            "take means, norms and decisions of each example, not of the batch (batch "
            "normalisation needs track_running_stats=True)"
        )
    if outputs > 1 and bool((together >= 0).all()) and _is_one(together.sum(1)):
        return [
            "answers probabilities where logits are wanted: its training takes the softmax once "
            "more and learns slowly, so leave the last softmax out"
        ]
    return []


def _is_one(sums: Tensor) -> bool:
    return bool(torch.allclose(sums, torch.ones_like(sums), atol=1e-4))


def _answers(model: nn.Module, rows: Tensor) -> Tensor:
    try:
        return answers_to(model, rows)
    except FAULTS as error:
        raise _refused(
            f"its network must answer a batch of {len(rows)} in evaluation, but raised "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error


def _train_a_little(model: nn.Module, data: TrainingData) -> None:
    some = slice(0, TRAINED_EXAMPLES)
    few = TrainingData(*(_part(split, some) for split in (data.train, data.validation)))
    training = Training(learning_rate=1e-3, batch_size=TRAINED_BATCH, epochs=1, patience=0)
    try:
        train(model, few, training, SEED)
    except FAULTS as error:
        raise _refused(
            f"its network must be trainable by gradients, but raised {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error


def _part(examples: Examples, some: slice) -> Examples:
    return replace(examples, inputs=examples.inputs[some], labels=examples.labels[some])


def _require_exported(model: nn.Module, examples: Examples, folder: Path) -> None:
    few = _part(examples, slice(0, ROWS))
    path = folder / "model.onnx"
    to_onnx(model, few.inputs[:1], path)
    likeness = parity(model, open_artefact(path, threads=1), few)
    path.unlink()
    largest = float(answers_to(model, few.inputs).abs().max())
    if likeness.max_error > FILE_TOLERANCE * largest:
        raise _refused(
            "its exported file must answer as the network does, but their answers differ by "
            f"{likeness.max_error / largest:.2g} of the largest: what is decided in Python (if, "
            "for, .item()) is decided once, when it is exported, so use torch.where or the like"
        )


def _why_not_pruned(models: ModelFactory, baseline: Candidate, file: Path) -> str | None:
    """Prunes, stores, loads and trains; what goes wrong in words, ``None`` where nothing does."""
    with tempfile.TemporaryDirectory() as folder:
        pruned = Path(folder) / WEIGHTS
        model = models.load(baseline, file)
        try:
            models.prune(model, baseline, Pruning(RATIO))
            models.save(model, baseline, pruned, SEED)
            _train_a_little(models.load(baseline, pruned), models.data(baseline))
        except TrialFailed as failure:
            return failure.reason
        except FAULTS as error:
            return f"its channels cannot be removed ({type(error).__name__}: {first_line(error)})"
    return None


def _refused(reason: str) -> TrialFailed:
    return TrialFailed("refused", reason)

"""Training by rungs: what is stopped and goes on is what never stopped, and is shared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from contracts.lives import toy_task
from greenfront.errors import TrialStopped
from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.outcome import Sizing
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.rungs import run_rung
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.rungs import RUNGS, rung_epochs
from greenfront.objectives.stages.metered import Measuring
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.training import Training

SHAPE = (("block", "standard"), ("depth", 2), ("kernel", 3), ("width", 0.25))
PARENT = Candidate(
    ArchitectureChoice("cnn", SHAPE),
    Training(epochs=9, patience=0, fine_tune_epochs=1, batch_size=8, augmentation="affine"),
)
CHILD = replace(PARENT, pruning=Pruning(0.5), precision=Precision(8, weight_only=True))


class Counted(LocalContext):
    """Counts the epochs that were trained."""

    def __init__(self) -> None:
        super().__init__(detect(4.0))
        self.epochs: list[str] = []
        self.objection: str | None = None

    def progress(self, message: str) -> None:
        self.epochs.append(message.partition(":")[0])

    def size_verdict(self, sizing: Sizing) -> str | None:
        return self.objection


def runner_in(folder: Path, context: Counted | None = None) -> TrialRunner:
    runtime = Runtime(
        ModelFactory(toy_task((1, 8, 8)), "cpu"),
        LineageStore(folder),
        context or Counted(),
        seed=0,
        measuring=Measuring(block_seconds=0.004, least_blocks=1, most_blocks=1),
        teacher=PARENT,
    )
    return TrialRunner(runtime)


def trained_weights(folder: Path) -> dict[str, list[float]]:
    """Of the one network that was trained to its end."""
    stages = [about.parent for about in folder.glob("??/*/about.json")]
    (whole,) = [s for s in stages if '"epoch"' in (s / "about.json").read_text()]
    weights = load_file(whole / "weights.safetensors")
    return {name: value.flatten().tolist() for name, value in weights.items()}


def test_rungs_are_shares_of_a_candidates_own_epochs() -> None:
    assert [rung_epochs(24, rung) for rung in range(len(RUNGS))] == [3, 8, 24]
    assert [rung_epochs(4, rung) for rung in range(len(RUNGS))] == [1, 2, 4]
    assert [rung_epochs(1, rung) for rung in range(len(RUNGS))] == [1, 1, 1]


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = runner_in(tmp_path / "whole").run(PARENT)
    context = Counted()
    runner = runner_in(tmp_path / "rungs", context)
    first, second = run_rung(runner, PARENT, 0), run_rung(runner, PARENT, 1)
    resumed = runner_in(tmp_path / "rungs", context).run(PARENT)
    assert trained_weights(tmp_path / "rungs") == trained_weights(tmp_path / "whole")
    assert (resumed.score, resumed.epochs) == (whole.score, whole.epochs)
    # Each epoch was trained once.
    assert context.epochs == [f"training, epoch {epoch} of 9" for epoch in range(1, 10)]
    # And its energy is that of all rungs.
    spent = [first.training.joules, second.training.joules, resumed.training.joules]
    assert all(value is not None for value in spent)
    assert spent == sorted(spent, key=lambda joules: joules or 0.0)
    assert (first.remaining, second.remaining) == (8, 2)
    expected = first.whole_training.joules
    assert expected == pytest.approx(9 * (first.training.joules or 0.0))


def test_children_of_a_training_share_its_rungs(tmp_path: Path) -> None:
    context = Counted()
    runner = runner_in(tmp_path, context)
    parent = run_rung(runner, PARENT, 1)
    trained = len(context.epochs)
    child = run_rung(runner, CHILD, 1)
    assert len(context.epochs) == trained  # nothing was trained again
    assert child.score == parent.score
    assert child.training == parent.training
    assert (parent.tuning, child.tuning) == (0, 1 / 9)
    assert child.sizing.parameters < parent.sizing.parameters
    # A rung that was left out is trained on the way.
    assert context.epochs == [f"training, epoch {epoch} of 9" for epoch in (1, 2, 3)]
    assert PARENT.training_key == CHILD.training_key
    other = replace(PARENT, training=replace(PARENT.training, learning_rate=1e-3))
    assert other.training_key != PARENT.training_key


def test_a_student_pays_for_its_lessons_at_its_first_rung(tmp_path: Path) -> None:
    student = replace(PARENT, distillation=Distillation(temperature=2.0, weight=0.5))
    outcome = run_rung(runner_in(tmp_path), student, 0)
    assert set(outcome.phases) == {"teacher", "train"}
    expected = outcome.whole_training.joules or 0.0
    lessons = outcome.phases["teacher"].joules or 0.0
    own = outcome.phases["train"].joules or 0.0
    assert expected == pytest.approx(lessons + 9 * own)


def test_what_is_too_dear_is_stopped_before_it_is_trained(tmp_path: Path) -> None:
    context = Counted()
    context.objection = "too dear"
    with pytest.raises(TrialStopped, match="too dear"):
        run_rung(runner_in(tmp_path, context), PARENT, 0)
    assert context.epochs == []

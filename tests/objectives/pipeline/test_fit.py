"""The life of a fitted model: one stage, then measured like any other file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contracts.lives import toy_task
from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.trial import Delivered, TrialRunner
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.tasks.task import Labelled, TargetScale, Task
from greenfront.spaces.architectures.sklearn import references
from greenfront.spaces.network_space import reference_candidate

SHAPES = ((5,), (1, 4, 4), ())
CASES = [(shape, name) for shape in SHAPES for name in references(shape, "classes")]


def runner(task: Task, folder: Path) -> TrialRunner:
    return TrialRunner(
        Runtime(
            ModelFactory(task, "cpu"),
            LineageStore(folder),
            LocalContext(detect(4.0)),
            seed=0,
            measuring=Measuring(block_seconds=0.01, least_blocks=1, most_blocks=1),
        )
    )


def numbers_task() -> Task:
    """Numbers that follow from the inputs."""
    whole = toy_task((5,))

    def split(part: Labelled) -> Labelled:
        return Labelled(part.inputs, (part.inputs @ np.arange(5) / 5).astype(np.float32))

    scale = TargetScale(40.0, 5.0, constant_rmse=5.0, constant_mae=4.0)
    facts = replace(whole.facts, class_names=(), target=scale)
    return Task(facts, split(whole.train), split(whole.validation), split(whole.test))


@pytest.mark.parametrize(("shape", "name"), CASES)
def test_it_is_fitted_exported_and_measured(
    shape: tuple[int, ...], name: str, tmp_path: Path
) -> None:
    trials = runner(toy_task(shape), tmp_path)
    candidate = reference_candidate(name)
    outcome = trials.run(candidate)
    # Boosting wants twenty examples a leaf, and there are few.
    assert outcome.score > (0.3 if "boosting" in name else 0.6)
    assert outcome.phases.keys() == {"train", "export"}
    assert all((reading.joules or 0) > 0 for reading in outcome.phases.values())
    assert (outcome.inference.joules or 0) > 0
    assert outcome.max_error is not None
    assert outcome.max_error < 1e-5
    assert (outcome.agreement, outcome.unreal, outcome.pruned_ratio) == (1, (), 0)
    assert min(outcome.parameters, outcome.flops, outcome.epochs) >= 1
    file = tmp_path / outcome.artefact
    assert file.stat().st_size == outcome.artefact_bytes
    assert (file.parent / "tokenizer.json").exists() == (shape == ())

    again = trials.run(candidate)  # is not fitted again: its readings are the stored ones
    assert (again.phases, again.artefact) == (outcome.phases, outcome.artefact)
    assert trials.epoch_cost(candidate) == outcome.phases["train"]
    sizing = trials.size(candidate)
    assert sizing.parameters == outcome.parameters
    assert sizing.artefact_bytes == outcome.artefact_bytes
    repeat = trials.repeat(candidate, outcome.artefact, batched=True)
    assert repeat is not None
    assert repeat.score == outcome.score
    assert repeat.batched is not None


@pytest.mark.parametrize("name", references((5,), "numbers"))
def test_numbers_are_predicted(name: str, tmp_path: Path) -> None:
    outcome: Outcome = runner(numbers_task(), tmp_path).run(reference_candidate(name))
    assert outcome.max_error is not None
    assert outcome.max_error < 1e-4
    assert outcome.agreement is None
    # None where it always answers the same: boosting wants more examples.
    assert (outcome.relative_error is None) == ("boosting" in name)
    assert (outcome.relative_error or 0) < 1e-5
    (answers,) = open_artefact(tmp_path / outcome.artefact, 1).run(
        None, {INPUT: numbers_task().validation.inputs}
    )
    assert 35 < answers.mean() < 45  # in the target's own unit


def test_a_file_that_was_written_otherwise_is_delivered_as_it_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study that another version began keeps its files and their readings, and mixes none."""
    candidate, trials = reference_candidate("sklearn:extra_trees"), runner(toy_task((5,)), tmp_path)
    for module in ("stages.trees", "pipeline.stages.fit"):
        monkeypatch.setattr(f"greenfront.objectives.{module}.MOST_TREES", 100)
    before = trials.run(candidate)
    monkeypatch.undo()
    assert trials.delivered(candidate, before.artefact) == Delivered(
        tmp_path / before.artefact, None
    )
    now = trials.run(candidate)
    assert now.artefact != before.artefact
    assert now.graph != before.graph  # whose cost was measured apart
    assert trials.delivered(candidate, before.artefact).path == tmp_path / before.artefact
    (tmp_path / before.artefact).write_bytes(b"")
    assert trials.repeat(candidate, before.artefact, batched=False) is None
    made = trials.delivered(candidate, before.artefact)
    assert made.path == tmp_path / now.artefact
    assert made.notes == ("the file was gone and was made again from its weights",)


def test_nothing_that_is_executed_when_read_is_stored(tmp_path: Path) -> None:
    runner(toy_task((5,)), tmp_path).run(reference_candidate("sklearn:extra_trees"))
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds == {".json", ".lock", ".npz", ".onnx"}


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    candidate = reference_candidate("sklearn:extra_trees")
    files = []
    for place in ("one", "other"):
        outcome = runner(toy_task((5,)), tmp_path / place).run(candidate)
        files.append((tmp_path / place / outcome.artefact).read_bytes())
    assert files[0] == files[1]
    trials = runner(toy_task((5,)), tmp_path / "one")
    trials.runtime.seed = 1
    assert (tmp_path / "one" / trials.run(candidate).artefact).read_bytes() != files[0]

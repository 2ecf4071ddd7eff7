"""What a power cut leaves of a real chain of stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.bench import MLP, PRUNED, Bench, facts
from greenfront.objectives.pipeline.answers import load_answers
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Task


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return load_task(TaskSettings(kind="digits"), cache=tmp_path_factory.mktemp("cache"), seed=7)


@pytest.fixture(scope="module")
def bench(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(task, tmp_path_factory.mktemp("store"))
    bench.run(MLP)
    return bench


@pytest.mark.parametrize("name", ["weights.safetensors", "model.onnx", "answers.npz", "about.json"])
def test_a_torn_file_is_made_again(task: Task, bench: Bench, name: str) -> None:
    before = bench.run(PRUNED)
    for file in list(bench.store.root.rglob(name)):
        file.write_bytes(file.read_bytes()[:100])
    again = Bench(task, bench.store.root)
    assert again.runner.repeat(PRUNED, before.artefact, batched=False) is not None
    outcome = again.run(PRUNED)
    assert facts(outcome) == facts(before)
    answers = load_answers(again.file(outcome).with_name("answers.npz"))
    assert answers is not None
    assert len(answers[0]) == len(task.validation)
    assert again.store.holds_intact(Path(outcome.artefact))

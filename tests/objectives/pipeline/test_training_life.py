"""One life with all that training can do, and when its steps are compiled."""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from contracts.compilers import no_compiler
from contracts.lives import toy_task
from greenfront.objectives.context import LocalContext, Window
from greenfront.objectives.metering.cpu_model import CpuModelMeter, WattsPerThread
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.pipeline import compile_policy
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.readings import total
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.tasks.task import Task
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.architectures.torchvision_shim import allow_torchvision
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.training import Training

__all__ = ["no_compiler"]

SHAPE = (3, 32, 32)
TRAINING = Training(
    learning_rate=1e-2,
    batch_size=12,
    epochs=2,
    patience=0,
    fine_tune_epochs=1,
    augmentation="shift+flip",
    layer_decay=0.7,
)


@pytest.fixture(scope="module")
def task() -> Task:
    return toy_task(SHAPE)


class ListeningContext(LocalContext):
    """Meters this process and remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(Instruments((CpuModelMeter(WattsPerThread(4, 2, 8, "test")),)))
        self.phases: list[str] = []
        self.lines: list[str] = []

    def phase(self, name: str) -> AbstractContextManager[Window]:
        self.phases.append(name)
        return super().phase(name)

    def progress(self, message: str) -> None:
        self.lines.append(message)


def runner_of(task: Task, root: Path, teacher: Candidate | None = None) -> TrialRunner:
    runtime = Runtime(
        ModelFactory(task, "cpu"),
        LineageStore(root),
        ListeningContext(),
        seed=1,
        measuring=Measuring(block_seconds=0.002, least_blocks=1, most_blocks=1),
        teacher=teacher,
    )
    return TrialRunner(runtime)


def context_of(runner: TrialRunner) -> ListeningContext:
    assert isinstance(runner.runtime.context, ListeningContext)
    return runner.runtime.context


def plain(family: str, training: Training, **changes: float) -> Candidate:
    shape = {**architecture(family).baseline(), **changes}
    return Candidate(ArchitectureChoice(family, tuple(sorted(shape.items()))), training)


def taught(runner: TrialRunner) -> list[dict[str, torch.Tensor]]:
    """What teachers have left in the store."""
    files = [load_file(path) for path in runner.runtime.store.root.rglob("*.safetensors")]
    return [tensors for tensors in files if "logits" in tensors]


# --- everything at once --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> str:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    allow_torchvision()
    import timm

    file = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), file)
    return f"timm:test_resnet@{file}"


def test_a_life_with_everything_on(task: Task, pretrained: str, tmp_path: Path) -> None:
    teacher = plain("cnn", replace(TRAINING, layer_decay=1.0))
    runner = runner_of(task, tmp_path, teacher)
    student = replace(
        plain(pretrained, replace(TRAINING, compile="auto"), resolution=32, frozen=0.5),
        pruning=Pruning(0.5, gradual=True),
        precision=Precision(4, quantization_aware=True),
        distillation=Distillation(2.0, 0.5, hidden_weight=0.5),
    )
    outcome = runner.run(student)
    assert outcome.unreal == ()
    assert outcome.agreement == 1
    stages = ["teacher", "train", "prune", "fine-tune", "round", "export", "quantize"]
    assert list(outcome.phases) == stages
    assert (runner.runtime.store.root / outcome.artefact).is_file()
    phases = context_of(runner).phases
    assert phases.count("teacher") == 2  # its training and its answers
    # What was not worth measuring was not: such a training is over before code were generated.
    assert not any("compiling" in line for line in context_of(runner).lines)

    (lessons,) = taught(runner)
    assert lessons.keys() == {"logits", "features"}
    assert lessons["features"].shape == (len(task.train), 128)
    torch.testing.assert_close(lessons["features"].mean(0), torch.zeros(128), rtol=0, atol=1e-5)

    # Another student asks nothing anew and pays the same share of the teacher.
    phases.clear()
    other = runner.run(replace(student, pruning=Pruning(), precision=Precision()))
    assert "teacher" not in phases
    assert other.phases["teacher"] == outcome.phases["teacher"]
    assert outcome.training == total(outcome.phases.values())

    # The same life in another store ends in the same file.
    again = runner_of(task, tmp_path / "again", teacher)
    twin = again.run(student)
    assert (again.runtime.store.root / twin.artefact).read_bytes() == (
        runner.runtime.store.root / outcome.artefact
    ).read_bytes()


def test_features_are_kept_beside_answers_only_where_asked_for(task: Task, tmp_path: Path) -> None:
    teacher = plain("cnn", replace(TRAINING, layer_decay=1.0))
    runner = runner_of(task, tmp_path, teacher)
    student = replace(
        plain("mlp", replace(TRAINING, layer_decay=1.0)), distillation=Distillation(2.0, 0.5)
    )
    answers = runner.run(student)
    (only,) = taught(runner)
    assert only.keys() == {"logits"}
    hidden = runner.run(replace(student, distillation=Distillation(2.0, 0.5, 0.3)))
    first, second = sorted(taught(runner), key=len)
    assert second.keys() == {"logits", "features"}
    assert torch.equal(first["logits"], second["logits"])
    assert hidden.artefact != answers.artefact
    assert context_of(runner).phases.count("teacher") == 3  # it is trained once


# --- compiled steps ------------------------------------------------------------------------------


def test_where_nothing_can_be_compiled_trials_live_all_the_same(
    no_compiler: None, task: Task, tmp_path: Path
) -> None:
    runner = runner_of(task, tmp_path)
    training = Training(batch_size=12, epochs=1, fine_tune_epochs=1)
    outcome = runner.run(replace(plain("mlp", replace(training, compile="always"))))
    usual = runner.run(plain("mlp", training))
    said = [line for line in context_of(runner).lines if "compiling failed" in line]
    assert len(said) == 1
    assert "InvalidCxxCompiler" in said[0]
    assert outcome.parameters == usual.parameters
    assert outcome.artefact != usual.artefact


def test_what_compiling_is_worth_is_measured_once(
    no_compiler: None, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = runner_of(task, tmp_path)
    auto = plain("mlp", Training(batch_size=12, epochs=1, fine_tune_epochs=1, compile="auto"))
    runner.run(auto)
    assert not any("compiling" in line for line in context_of(runner).lines)
    # From here on as if the training took long.
    monkeypatch.setattr(compile_policy, "SHORTEST_SECONDS", 0.0)
    pruned = replace(auto, pruning=Pruning(0.5))
    runner.run(pruned)
    said = [line for line in context_of(runner).lines if line.startswith("mlp: ")]
    assert said[0] == "mlp: measuring what compiling is worth"
    assert said[1].startswith("mlp: cannot be compiled (InvalidCxxCompiler: ")
    assert len(said) == 2
    context_of(runner).lines.clear()
    other = runner_of(task, tmp_path)
    other.run(replace(auto, training=replace(auto.training, learning_rate=1e-2)))
    assert not any("compil" in line for line in context_of(other).lines)
    choice = compile_policy.compile_choice(other.runtime, "mlp")
    assert choice == compile_policy.compile_choice(runner.runtime, "mlp")
    assert not choice.pays(10**9)
    assert compile_policy.step_seconds(runner.runtime, "mlp") > 0


def test_long_trainings_are_compiled_and_short_ones_not(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_policy, "SHORTEST_SECONDS", 0.0)
    runner = runner_of(task, tmp_path)
    candidate = plain("mlp", Training(batch_size=12, compile="auto"))
    # As a store may hold it from a family that gains: 100 steps of two an epoch.
    choice = compile_policy.CompileChoice(0.2, 0.1, 10.0)
    monkeypatch.setattr(compile_policy, "measure_compiling", lambda *_: choice)
    assert not compile_policy.is_compiled(runner.runtime, candidate, 50)
    assert compile_policy.is_compiled(runner.runtime, candidate, 51)
    never, always = (
        replace(candidate, training=replace(candidate.training, compile=word))
        for word in ("never", "always")
    )
    assert not compile_policy.is_compiled(runner.runtime, never, 10**6)
    assert compile_policy.is_compiled(runner.runtime, always, 1)
    assert (
        "mlp: a step takes 200 ms, compiled 100 ms, compiling 10 s: worth it from 100 steps"
        in (context_of(runner).lines[-1])
    )
    assert set(context_of(runner).phases) == {"calibrate"}

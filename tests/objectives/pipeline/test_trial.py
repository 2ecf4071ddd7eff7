from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from safetensors.torch import load_file

from contracts.bench import (
    CNN,
    MLP,
    PRUNED,
    STUDENT,
    TEACHER,
    TRAINING,
    Bench,
    facts,
)
from greenfront.errors import TrialFailed, TrialStopped
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import family_of
from greenfront.objectives.pipeline.stages import export
from greenfront.objectives.readings import Reading, total
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Labelled, Task
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return load_task(TaskSettings(kind="digits"), cache=tmp_path_factory.mktemp("cache"), seed=7)


@pytest.fixture(scope="module")
def bench(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One store for all tests that only add to it; the plain networks are there already."""
    bench = Bench(task, tmp_path_factory.mktemp("store"), teacher=TEACHER)
    bench.run(MLP)
    bench.run(CNN)
    return bench


@pytest.fixture
def fresh(task: Task, tmp_path: Path) -> Bench:
    return Bench(task, tmp_path / "store", teacher=TEACHER)


def joules(reading: Reading) -> float:
    assert reading.joules is not None
    return reading.joules


def kept(store: LineageStore) -> set[Path]:
    """Files of stages' outputs; the cost of a graph is kept whatever becomes of a trial."""
    files = {path for path in store.root.rglob("*") if path.is_file() and path.suffix != ".lock"}
    return {path for path in files if path.parent.name != "graphs"}


# --- a whole life ------------------------------------------------------------------------------


def test_the_whole_life_of_a_plain_network(fresh: Bench, task: Task) -> None:
    outcome = fresh.run(MLP)
    assert fresh.context.stages() == ["train", "export"]
    # Its graph was measured when it was sized.
    phases = [window.phase for window in fresh.context.windows]
    assert phases[:4] == ["size"] * 4
    last = len(phases) - phases[::-1].index("evaluate")
    assert set(phases[last:]) == {"preprocess"}
    assert (outcome.measurements, len(outcome.measured)) == (1, 1)
    assert outcome.inference == fresh.context.sizings[0].inference
    assert list(outcome.phases) == ["train", "export"]
    assert outcome.score > 0.8
    assert 1 <= outcome.epochs <= TRAINING.epochs
    assert outcome.parameters == 64 * 64 + 64 * 32 + 32 * 10
    assert outcome.flops == 2 * outcome.parameters
    assert outcome.pruned_ratio == 0
    assert outcome.peak_memory_bytes is None or outcome.peak_memory_bytes > 2**20
    assert outcome.latency_seconds > 0
    assert fresh.context.lines[-1].startswith("training, epoch 3 of 3: ")
    assert len(fresh.context.lines) == 3

    path = fresh.file(outcome)
    assert outcome.artefact_bytes == path.stat().st_size
    assert outcome.artefact_bytes > 4 * outcome.parameters


def test_energy_is_metered_in_every_phase(fresh: Bench) -> None:
    outcome = fresh.run(PRUNED)
    by_phase = {window.phase: window.total for window in fresh.context.windows}
    for phase in ("train", "prune", "fine-tune", "export"):
        assert outcome.phases[phase] == by_phase[phase]
        assert joules(outcome.phases[phase]) > 0
        assert outcome.phases[phase].kind == "modelled"
    assert outcome.training == total(outcome.phases.values())
    blocks = [window.total for window in fresh.context.windows if window.phase == "size"]
    assert 0 < joules(outcome.inference) < min(map(joules, blocks)) / 10


def test_the_accuracy_is_that_of_the_file(bench: Bench, task: Task) -> None:
    for candidate in (MLP, CNN, replace(PRUNED, precision=Precision(8))):
        outcome = bench.run(candidate)
        session = onnxruntime.InferenceSession(
            bench.file(outcome).read_bytes(), providers=["CPUExecutionProvider"]
        )
        right = [
            int(session.run(None, {"input": task.validation.inputs[i : i + 1]})[0].argmax())
            == task.validation.labels[i]
            for i in range(len(task.validation))
        ]
        assert outcome.score == pytest.approx(np.mean(right), abs=0.01)  # int8 ranges of a batch
        assert outcome.score > 0.8


def test_the_host_hears_what_the_file_will_be(fresh: Bench) -> None:
    for candidate in (MLP, PRUNED, replace(MLP, precision=Precision(16))):
        outcome = fresh.run(candidate)
        sizing = fresh.context.sizings[-1]
        assert (sizing.parameters, sizing.flops) == (outcome.parameters, outcome.flops)
        assert sizing.artefact_bytes == outcome.artefact_bytes
        assert joules(sizing.inference) > 0
        assert sizing.latency_seconds > 0


def test_a_hopeless_candidate_is_not_trained(fresh: Bench) -> None:
    fresh.context.hopeless = True
    with pytest.raises(TrialStopped, match="no accuracy could save it"):
        fresh.run(MLP)
    assert {window.phase for window in fresh.context.windows} == {"size"}
    assert kept(fresh.store) == set()


def test_a_training_that_diverges_leaves_nothing(fresh: Bench) -> None:
    bad = replace(MLP, training=replace(TRAINING, learning_rate=1e30))
    with pytest.raises(TrialFailed, match="diverged"):
        fresh.run(bad)
    assert kept(fresh.store) == set()
    with pytest.raises(TrialFailed, match="diverged"):
        fresh.run(bad)


# --- what is shared ----------------------------------------------------------------------------


def test_nothing_is_made_twice(bench: Bench, task: Task) -> None:
    first = bench.run(MLP)
    before = kept(bench.store)
    other = Bench(task, bench.store.root)
    again = other.run(MLP)
    assert other.context.stages() == []
    assert facts(again) == facts(first)
    assert again.phases == first.phases  # the stored readings, not new ones
    assert kept(bench.store) == before


def test_a_pruned_child_starts_from_its_trained_parent(fresh: Bench) -> None:
    parent = fresh.run(MLP)
    child = fresh.run(PRUNED)
    assert fresh.context.stages() == ["prune", "fine-tune", "export"]
    assert list(child.phases) == ["train", "prune", "fine-tune", "export"]
    assert child.phases["train"] == parent.phases["train"]
    assert child.phases["export"] != parent.phases["export"]
    assert child.epochs == parent.epochs
    assert joules(child.training) > joules(child.phases["train"])

    # 64-64-32-10 becomes 64-32-16-10, with biases in the ratio and without them in the count.
    assert child.parameters == 64 * 32 + 32 * 16 + 16 * 10
    assert child.flops == 2 * child.parameters
    before, after = 64 * 65 + 32 * 65 + 10 * 33, 32 * 65 + 16 * 33 + 10 * 17
    assert child.pruned_ratio == pytest.approx(1 - after / before)
    assert child.artefact_bytes < parent.artefact_bytes
    assert child.score > 0.8


def test_each_ratio_is_pruned_apart(bench: Bench) -> None:
    halved, quartered = (bench.run(replace(MLP, pruning=Pruning(r))) for r in (0.5, 0.75))
    assert quartered.parameters < halved.parameters
    assert quartered.phases["train"] == halved.phases["train"]
    assert quartered.phases["prune"] != halved.phases["prune"]


def test_fine_tuning_depends_on_its_length_alone(fresh: Bench) -> None:
    short = replace(PRUNED, training=replace(TRAINING, fine_tune_epochs=0))
    outcome = fresh.run(short)
    fresh.run(PRUNED)
    assert fresh.context.stages() == ["prune", "fine-tune", "export"]
    assert outcome.score < fresh.run(PRUNED).score


def test_bits_are_really_fewer(bench: Bench) -> None:
    outcomes = {bits: bench.run(replace(CNN, precision=Precision(bits))) for bits in (32, 16, 8)}
    assert bench.context.stages() == ["export", "quantize"]  # the last one
    size = {bits: outcome.artefact_bytes for bits, outcome in outcomes.items()}
    assert size[16] < 0.6 * size[32]
    assert size[8] < 0.7 * size[16]
    for bits, outcome in outcomes.items():
        assert outcome.phases["train"] == outcomes[32].phases["train"]
        assert ("quantize" in outcome.phases) == (bits != 32)
        assert outcome.parameters == outcomes[32].parameters
        assert outcome.flops == outcomes[32].flops
        assert outcome.score == pytest.approx(outcomes[32].score, abs=0.03)
    assert len({outcome.artefact for outcome in outcomes.values()}) == 3


@pytest.mark.parametrize(
    "fewer", [Precision(16), Precision(8, weight_only=True), Precision(4)], ids=str
)
def test_what_is_exported_at_32_bits_is_exported_once(
    bench: Bench, fresh: Bench, fewer: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And fewer bits of it are those that an export of their own would have led to."""
    child = replace(MLP, precision=fewer)
    alone = fresh.run(child)
    with monkeypatch.context() as patch:
        patch.setattr(export, "to_onnx", None)
        shared = bench.run(child)
    assert facts(shared) == facts(alone)
    assert shared.max_error == alone.max_error
    assert bench.file(shared).read_bytes() == fresh.file(alone).read_bytes()
    # What it would cost alone is what the export has cost when it was made.
    assert shared.phases["export"] == bench.run(MLP).phases["export"]


def test_what_changes_the_weights_is_trained_anew(bench: Bench, task: Task) -> None:
    for training in (
        replace(TRAINING, learning_rate=4e-3),
        replace(TRAINING, epochs=2),
        replace(TRAINING, batch_size=32),
        replace(TRAINING, optimizer="sgd"),
        replace(TRAINING, patience=1),
    ):
        bench.run(replace(MLP, training=training))
        assert bench.context.stages() == ["train", "export"], training
    other = Bench(task, bench.store.root, seed=2)
    assert other.run(MLP).artefact != bench.run(MLP).artefact
    assert other.context.stages() == ["train", "export"]
    altered = replace(task, facts=replace(task.facts, fingerprint="another"))
    elsewhere = Bench(altered, bench.store.root)
    elsewhere.run(MLP)
    assert elsewhere.context.stages() == ["train", "export"]


def test_the_same_seed_makes_the_same_file(task: Task, tmp_path: Path) -> None:
    one, two = (Bench(task, tmp_path / name) for name in ("one", "two"))
    first, second = one.run(PRUNED), two.run(PRUNED)
    assert two.context.stages() == ["train", "prune", "fine-tune", "export"]
    assert facts(first) == facts(second)
    assert one.file(first).read_bytes() == two.file(second).read_bytes()


# --- distillation ------------------------------------------------------------------------------


def test_a_student_pays_for_its_teacher(fresh: Bench) -> None:
    outcome = fresh.run(STUDENT)
    assert fresh.context.stages() == ["teacher", "teacher", "train", "export"]
    training, teaching = (w.total for w in fresh.context.windows if w.phase == "teacher")
    assert list(outcome.phases) == ["teacher", "train", "export"]
    assert outcome.phases["teacher"] == total([training, teaching])
    assert joules(outcome.training) > joules(outcome.phases["teacher"]) > joules(training)
    assert outcome.score > 0.8

    other = fresh.run(replace(STUDENT, distillation=Distillation(2.0, 0.7)))
    assert fresh.context.stages() == ["train", "export"]
    assert other.phases["teacher"] == outcome.phases["teacher"]
    assert other.phases["train"] != outcome.phases["train"]

    # The teacher itself is a trial like any other, trained already.
    teacher = fresh.run(TEACHER)
    assert fresh.context.stages() == ["export"]
    assert teacher.phases["train"] == training

    child = fresh.run(replace(STUDENT, pruning=Pruning(0.5), precision=Precision(8)))
    assert fresh.context.stages() == ["prune", "fine-tune", "export", "quantize"]
    assert list(child.phases) == ["teacher", "train", "prune", "fine-tune", "export", "quantize"]


def test_a_student_learns_from_what_its_teacher_says(bench: Bench, task: Task) -> None:
    bench.run(STUDENT)
    (lessons,) = map(load_file, bench.store.root.rglob("teacher.safetensors"))
    assert set(lessons) == {"logits"}
    right = lessons["logits"].argmax(-1).numpy() == task.train.labels
    assert len(right) == len(task.train)
    assert np.mean(right) > 0.7  # in the order of the examples


def test_another_teacher_makes_another_student(bench: Bench, task: Task) -> None:
    outcome = bench.run(STUDENT)
    other = Bench(task, bench.store.root, teacher=CNN).run(STUDENT)
    assert other.artefact != outcome.artefact
    assert other.phases["teacher"] != outcome.phases["teacher"]


def test_other_weights_of_the_teacher_make_another_student(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = bench.run(STUDENT)
    assert bench.run(STUDENT).artefact == outcome.artefact
    family = type(family_of(TEACHER))
    assert family is not type(family_of(STUDENT))
    monkeypatch.setattr(family, "fingerprint", lambda self: "other weights")
    assert bench.run(STUDENT).artefact != outcome.artefact


def test_a_student_without_a_teacher_fails(task: Task, tmp_path: Path) -> None:
    lonely = Bench(task, tmp_path)
    with pytest.raises(TrialFailed, match="needs a teacher, and this study names none"):
        lonely.run(STUDENT)


# --- what must not matter ----------------------------------------------------------------------


def test_the_test_split_is_never_touched(task: Task, tmp_path: Path) -> None:
    class Untouchable(Labelled):
        def __len__(self) -> int:
            raise AssertionError("the test split was counted")

    nothing = Untouchable(
        np.full_like(task.test.inputs, np.nan), np.full_like(task.test.labels, -1)
    )
    candidates = [MLP, replace(CNN, precision=Precision(8), distillation=STUDENT.distillation)]
    for index, candidate in enumerate(candidates):
        known = Bench(task, tmp_path / f"known{index}", teacher=TEACHER)
        blind = Bench(replace(task, test=nothing), tmp_path / f"blind{index}", teacher=TEACHER)
        first, second = known.run(candidate), blind.run(candidate)
        assert facts(first) == facts(second)
        assert known.file(first).read_bytes() == blind.file(second).read_bytes()


def test_a_forecast_keeps_nothing(fresh: Bench) -> None:
    reading = fresh.runner.epoch_cost(MLP)
    assert [window.phase for window in fresh.context.windows] == ["forecast"]
    assert reading == fresh.context.windows[0].total
    assert joules(reading) > 0
    fresh.runner.size(MLP)
    assert kept(fresh.store) == set()


def test_a_file_for_torch_beside_the_credited_one(task: Task, tmp_path: Path) -> None:
    files = Bench(task, tmp_path)
    files.runtime.torch_file = True
    outcome = files.run(CNN)
    folder = (tmp_path / outcome.artefact).parent
    assert {"model.onnx", "model.pt2"} <= {file.name for file in folder.iterdir()}
    assert outcome.torch_file_error is not None
    assert outcome.torch_file_error < 1e-4
    fewer = files.run(replace(CNN, precision=Precision(16)))
    assert fewer.torch_file_error == outcome.torch_file_error
    copied = (tmp_path / fewer.artefact).parent / "model.pt2"
    assert copied.read_bytes() == (folder / "model.pt2").read_bytes()

"""Stages are found by their files, and each output follows from what its stage depends on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from contracts.lives import toy_task
from greenfront.errors import first_line
from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.cpu_model import CpuModelMeter, WattsPerThread
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.pipeline.lineage import LineageStore, Made
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.stage import Stage, StageJob, load_stages
from greenfront.objectives.stages.metered import Measuring
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.network_space import reference_candidate
from greenfront.spaces.techniques.cascade import Cascade
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.ensemble import Ensemble
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.sparsity import Sparsity


class Dice(Stage):
    """Remembers its jobs and writes down a random number."""

    name = "dice"
    order = 35

    def __init__(self, runtime: Runtime, sides: int = 6) -> None:
        super().__init__(runtime)
        self.sides = sides
        self.jobs: list[StageJob] = []

    def inputs(self, candidate: Candidate) -> dict[str, int]:
        return {"sides": self.sides}

    def make(self, job: StageJob) -> Made:
        self.jobs.append(job)
        return Made({}, {"rolled": float(torch.rand(1))})


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    context = LocalContext(Instruments((CpuModelMeter(WattsPerThread(4, 2, 8, "test")),)))
    return Runtime(
        ModelFactory(toy_task((48,)), "cpu"), LineageStore(tmp_path), context, 1, Measuring()
    )


def applied(runtime: Runtime, candidate: Candidate) -> list[str]:
    return [stage.name for stage in load_stages(runtime) if stage.applies(candidate)]


def test_each_file_is_a_stage_and_they_run_in_order(runtime: Runtime) -> None:
    plain = runtime.models.baseline("mlp")
    assert applied(runtime, plain) == ["train", "export"]
    everything = replace(
        plain,
        distillation=Distillation(2.0, 0.5),
        pruning=Pruning(0.5),
        sparsity=Sparsity(0.5),
        precision=Precision(4, quantization_aware=True),
        others=(Cascade.to(plain.to_json(), 0.9), Ensemble.of([plain.to_json()])),
    )
    names = applied(runtime, everything)
    assert names == [
        "teach",
        "train",
        "prune",
        "sparsify",
        "round",
        "export",
        "cascade",
        "ensemble",
    ]
    stages = load_stages(runtime)
    assert {stage.name for stage in stages} == {*names, "fit"}  # of models that are not trained
    assert len({stage.order for stage in stages if stage.name != "fit"}) == len(names)


def test_what_a_stage_depends_on_is_json(runtime: Runtime) -> None:
    runtime.teacher = runtime.models.baseline("mlp")
    student = replace(runtime.teacher, distillation=Distillation(2.0, 0.5))
    cascade = replace(student, others=(Cascade.to(runtime.teacher.to_json(), 0.9),))
    ensemble = replace(student, others=(Ensemble.of([runtime.teacher.to_json()]),))
    fitted = reference_candidate("sklearn:extra_trees")
    for stage in load_stages(runtime):
        for candidate in (student, cascade, ensemble, fitted):
            special = candidate is fitted or stage.name in ("fit", "cascade", "ensemble")
            if special and not stage.applies(candidate):
                continue
            inputs = stage.inputs(candidate)
            assert json.loads(json.dumps(inputs)) == inputs


def test_later_techniques_do_not_change_what_was_trained(runtime: Runtime) -> None:
    plain = runtime.models.baseline("mlp")
    longer = replace(plain, training=replace(plain.training, fine_tune_epochs=9))
    train = next(stage for stage in load_stages(runtime) if stage.name == "train")
    for later in (replace(plain, pruning=Pruning(0.5)), replace(plain, sparsity=Sparsity(0.5))):
        assert train.inputs(later) == train.inputs(plain)
    assert train.inputs(longer) == train.inputs(plain)
    slower = replace(plain, training=replace(plain.training, learning_rate=1e-4))
    assert train.inputs(slower) != train.inputs(plain)


def test_how_weights_are_packed_counts_only_where_they_are(runtime: Runtime) -> None:
    plain = runtime.models.baseline("mlp")
    export = next(stage for stage in load_stages(runtime) if stage.name == "export")
    forms = (Precision(32), Precision(16), Precision(8, weight_only=True), Precision(4))
    keys = ["packing" in export.inputs(replace(plain, precision=form)) for form in forms]
    assert keys == [False, False, True, True]


def test_an_output_follows_from_inputs_and_from_the_output_before(runtime: Runtime) -> None:
    plain = runtime.models.baseline("mlp")
    dice = Dice(runtime)
    first = dice.output(plain, {})
    torch.rand(7)
    assert dice.output(plain, {}) == first
    assert len(dice.jobs) == 1
    after = dice.output(plain, {"before": first})
    coin = Dice(runtime, sides=2).output(plain, {})
    assert len({first.key, after.key, coin.key}) == 3
    assert len({output.facts["rolled"] for output in (first, after, coin)}) == 3
    assert dice.jobs[1].parent_weights.parent == first.folder
    # The same seed gives the same numbers, in whatever store and after whatever work.
    elsewhere = replace(runtime, store=LineageStore(runtime.store.root / "elsewhere"))
    assert Dice(elsewhere).output(plain, {}).facts == first.facts


def test_a_stage_leaves_the_shape_of_a_network_unless_it_says_otherwise(runtime: Runtime) -> None:
    half = replace(runtime.models.baseline("mlp"), pruning=Pruning(0.5))
    for stage in load_stages(runtime):
        model = runtime.models.untrained(half)
        before = sum(weight.numel() for weight in model.parameters())
        stage.reshape(model, half)
        after = sum(weight.numel() for weight in model.parameters())
        assert (after < before) == (stage.name == "prune")


def test_a_measurement_of_a_family_is_taken_once_and_moves_no_random_numbers(
    runtime: Runtime,
) -> None:
    asked: list[str] = []

    def measure(baseline: Candidate, folder: Path) -> dict[str, object]:
        asked.append(baseline.architecture.family)
        nn.Linear(3, 3)
        return {"draft": folder.is_dir()}

    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    for _ in range(2):
        assert runtime.calibrated("width", "mlp", {"threads": 1}, measure) == {"draft": True}
    assert torch.equal(torch.rand(2), expected)
    assert asked == ["mlp"]
    runtime.calibrated("width", "mlp", {"threads": 2}, measure)
    assert asked == ["mlp", "mlp"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  one  \ntwo"), "one"),
        (ValueError(), "ValueError"),
    ],
)
def test_the_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line

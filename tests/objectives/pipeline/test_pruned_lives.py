"""Lives with zeros among the weights, and with NNI's importances: stage by stage to the file."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from contracts.lives import toy_task
from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.stages.metered import Measuring
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.sparsity import Sparsity
from greenfront.spaces.techniques.training import Training

SHAPE = tuple(sorted(architecture("cnn").baseline().items()))
DENSE = Candidate(
    ArchitectureChoice("cnn", SHAPE),
    Training(learning_rate=1e-3, batch_size=12, epochs=1, patience=0, fine_tune_epochs=1),
)
SPARSE = replace(DENSE, sparsity=Sparsity(0.6))


def runner_in(folder: Path) -> TrialRunner:
    runtime = Runtime(
        ModelFactory(toy_task((3, 16, 16)), "cpu"),
        LineageStore(folder),
        LocalContext(detect(4.0)),
        seed=0,
        measuring=Measuring(block_seconds=0.004, least_blocks=1, most_blocks=1),
    )
    return TrialRunner(runtime)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> TrialRunner:
    return runner_in(tmp_path_factory.mktemp("lineage"))


def test_zeros_cost_what_the_dense_network_costs(runner: TrialRunner) -> None:
    dense, sparse = runner.run(DENSE), runner.run(SPARSE)
    assert sparse.unreal == ()
    assert sparse.agreement == 1
    assert sparse.zeros == pytest.approx(0.6, abs=0.01)
    assert dense.zeros < 0.01
    # Nothing is credited: neither weights nor operations nor bytes.
    assert (sparse.parameters, sparse.flops) == (dense.parameters, dense.flops)
    assert sparse.artefact_bytes == dense.artefact_bytes
    assert sparse.pruned_ratio == 0
    assert sparse.compressed_bytes is not None
    assert sparse.compressed_bytes < 0.7 * sparse.artefact_bytes
    assert dense.compressed_bytes is None
    # It starts from the trained parent, and pays for its own tuning.
    assert sparse.phases["train"] == dense.phases["train"]
    assert set(sparse.phases) - set(dense.phases) == {"sparsify"}


@pytest.mark.parametrize(
    "precision", [Precision(8), Precision(4, quantization_aware=True)], ids=str
)
def test_pruned_channels_zeros_and_few_bits_compose(
    runner: TrialRunner, precision: Precision
) -> None:
    pruned = runner.run(replace(DENSE, pruning=Pruning(0.5)))
    outcome = runner.run(replace(SPARSE, pruning=Pruning(0.5), precision=precision))
    assert outcome.unreal == ()
    assert outcome.zeros >= 0.59
    assert outcome.pruned_ratio == pruned.pruned_ratio > 0.5
    assert (outcome.parameters, outcome.flops) == (pruned.parameters, pruned.flops)
    # Tuning is paid three times, under three names.
    tunings = {"fine-tune", "sparsify", *({"round"} if precision.quantization_aware else ())}
    assert tunings <= set(outcome.phases)


def test_the_same_seed_leaves_the_same_zeros(runner: TrialRunner, tmp_path: Path) -> None:
    again = runner_in(tmp_path)
    files = [r.runtime.store.root / r.run(SPARSE).artefact for r in (runner, again)]
    first, second = (onnx.load(file).graph.initializer for file in files)
    for one, other in zip(first, second, strict=True):
        assert (numpy_helper.to_array(one) == numpy_helper.to_array(other)).all()


@pytest.mark.skipif(
    importlib.util.find_spec("nni") is None and os.environ.get("GREENFRONT_REQUIRE_NNI") != "1",
    reason="nni is not installed",
)
@pytest.mark.parametrize(
    "pruning",
    [Pruning(0.5, importance="nni:movement"), Pruning(0.5, importance="nni:taylor", gradual=True)],
    ids=str,
)
def test_lives_with_an_importance_of_nni(runner: TrialRunner, pruning: Pruning) -> None:
    whole = runner.run(DENSE)
    outcome = runner.run(replace(DENSE, pruning=pruning, precision=Precision(8)))
    assert outcome.unreal == ()
    assert outcome.pruned_ratio > 0.5
    assert outcome.parameters < 0.6 * whole.parameters
    assert outcome.flops < 0.6 * whole.flops
    assert outcome.artefact_bytes < 0.5 * whole.artefact_bytes
    assert outcome.phases["train"] == whole.phases["train"]

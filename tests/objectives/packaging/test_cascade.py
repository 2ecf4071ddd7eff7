"""An exported cascade holds; another threshold, or another model behind it, does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from contracts.shipped import Shipped, alone, inspection, predictions, shipped, table
from contracts.tampering import changed_mean, of_another_split, rewritten, swapped_labels
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.packaging.cascade import cascade_checks
from greenfront.objectives.packaging.findings import Verified
from greenfront.objectives.packaging.package import encoded
from greenfront.objectives.packaging.verification import verified
from greenfront.objectives.stages.cascade import merged_answers, parts_of
from greenfront.objectives.stages.evaluate import answers_of, open_artefact
from greenfront.spaces.techniques.cascade import Cascade
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning

THRESHOLD = 0.8


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("cascade")
    return shipped(table(folder), "mlp", folder, cascade=THRESHOLD)


def test_it_holds(cascade: Shipped, tmp_path: Path) -> None:
    found = verified(inspection(cascade, tmp_path))
    # Joules are measured beside other tests here.
    broken = [c for c in found.checks if c.holds is False and "label" not in c.name]
    assert [check for check in broken if "session" not in check.name] == []
    # An evaluator sends what it found as JSON.
    assert from_json(Verified, to_json(found)) == found
    names = [check.name for check in found.checks if check.name.startswith("cascade")]
    assert names == [
        "cascade, threshold",
        "cascade, passed on",
        "cascade, first model",
        "cascade, second model",
    ]
    told = predictions(alone(cascade.folder, cascade.settings.path, "--json"))
    assert len(told) == 160


def test_it_answers_as_its_models_do(cascade: Shipped, tmp_path: Path) -> None:
    runtime = cascade.runner.runtime
    parts = parts_of(onnx.load(inspection(cascade, tmp_path).core))
    inputs = encoded(runtime, cascade.candidate, "test")[0].inputs
    answers = []
    for name, part in (("first", parts.first), ("second", parts.second)):
        onnx.save(part, tmp_path / name)
        answers.append(answers_of(open_artefact(tmp_path / name, 1), inputs))
    whole = answers_of(open_artefact(cascade.core, 1), inputs)
    assert np.allclose(whole, merged_answers(*answers, THRESHOLD), atol=1e-5)
    assert 0 < cascade.packaged.passed_on < 1  # type: ignore[operator]
    # One by one, as users ask, it says the same as of all at once.
    session = open_artefact(cascade.core, 1)
    singles = [answers_of(session, inputs[[place]])[0] for place in range(len(inputs))]
    assert np.allclose(singles, whole, atol=1e-5)


def test_what_it_is_made_of_is_paid_once(cascade: Shipped) -> None:
    runner, candidate = cascade.runner, cascade.candidate
    second = candidate.second
    assert second is not None
    again = runner.run(candidate)
    behind, first = runner.run(second), runner.run(candidate.alone)
    assert again.phases["others"].joules == pytest.approx(behind.training.joules)
    assert again.phases["train"].joules == first.phases["train"].joules
    assert again.parameters == first.parameters + behind.parameters
    assert first.flops < again.flops < first.flops + behind.flops


def test_another_threshold_is_told(cascade: Shipped, tmp_path: Path) -> None:
    model = onnx.load(cascade.folder / "model.onnx")
    (limit,) = [t for t in model.graph.initializer if t.name.endswith("cascade/threshold")]
    limit.CopyFrom(numpy_helper.from_array(np.float32(0.99), limit.name))
    laid_out = inspection(cascade, tmp_path)
    laid_out.folder = tmp_path / "other"
    laid_out.folder.mkdir()
    onnx.save(model, laid_out.folder / "model.onnx")
    told = {check.name: check for check in cascade_checks(laid_out)}
    assert not told["cascade, threshold"].holds
    assert told["cascade, threshold"].found == "0.99"
    assert not told["cascade, passed on"].holds


@pytest.mark.parametrize(
    ("claimed", "told"),
    [
        ({"precision": Precision(8)}, "8 bits are claimed"),
        ({"pruning": Pruning(0.5)}, "pruning is claimed, but the file stores"),
    ],
    ids=("int8", "pruned"),
)
def test_compression_of_the_second_model_that_is_not_there(
    cascade: Shipped, tmp_path: Path, claimed: dict[str, Any], told: str
) -> None:
    """All of its weights are there, in 32 bits."""
    second = cascade.candidate.second
    assert second is not None
    behind = Cascade.to(replace(second, **claimed).to_json(), THRESHOLD)
    laid_out = inspection(cascade, tmp_path)
    laid_out.claims = replace(
        laid_out.claims,
        candidate=json.loads(json.dumps(replace(cascade.candidate, others=(behind,)).to_json())),
    )
    checks = {check.name: check for check in cascade_checks(laid_out)}
    assert told in checks["cascade, second model"].why
    assert checks["cascade, first model"].holds


@pytest.fixture
def copied(cascade: Shipped, tmp_path: Path) -> Shipped:
    shutil.copytree(cascade.folder, tmp_path / "copy")
    return replace(cascade, folder=tmp_path / "copy")


@pytest.mark.parametrize(
    ("change", "check", "told"),
    [
        (swapped_labels, "labels", "those of the file differ at 0"),
        (changed_mean, "preprocessing", "inlet/means[0] in the graph is not what the training"),
    ],
)
def test_what_stands_around_a_cascade_is_looked_at_too(
    copied: Shipped,
    tmp_path: Path,
    change: Callable[[onnx.ModelProto], None],
    check: str,
    told: str,
) -> None:
    rewritten(copied, change)
    broken = {
        c.name: c.why for c in verified(inspection(copied, tmp_path)).checks if c.holds is False
    }
    assert told in broken[check]
    assert "its preprocessing, threshold or labels were changed" in broken["raw input, test"]


def test_another_test_split_is_told(copied: Shipped, tmp_path: Path) -> None:
    other = of_another_split(copied, tmp_path)
    found = verified(replace(inspection(copied, tmp_path / "bench"), runtime=other))
    assert not found.checks[0].holds
    assert "another test split" in found.checks[0].why

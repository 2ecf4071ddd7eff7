"""An exported cascade holds; another threshold, or another model behind it, does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from contracts.shipped import Shipped, alone, bench, predictions, shipped, table
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.packaging.cascade import cascade_checks
from greenfront.objectives.packaging.findings import Verified
from greenfront.objectives.packaging.package import encoded
from greenfront.objectives.packaging.verification import verified
from greenfront.objectives.stages.cascade import merged_answers, parts_of
from greenfront.objectives.stages.evaluate import answers_of, open_artefact
from greenfront.spaces.techniques.cascade import Cascade
from greenfront.spaces.techniques.precision import Precision

THRESHOLD = 0.8


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("cascade")
    return shipped(table(folder), "mlp", folder, cascade=THRESHOLD)


def test_it_holds(cascade: Shipped, tmp_path: Path) -> None:
    found = verified(bench(cascade, tmp_path))
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
    parts = parts_of(onnx.load(bench(cascade, tmp_path).core))
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
    assert again.phases["second"].joules == pytest.approx(behind.training.joules)
    assert again.phases["train"].joules == first.phases["train"].joules
    assert again.parameters == first.parameters + behind.parameters
    assert first.flops < again.flops < first.flops + behind.flops


def test_another_threshold_is_told(cascade: Shipped, tmp_path: Path) -> None:
    model = onnx.load(cascade.folder / "model.onnx")
    (limit,) = [t for t in model.graph.initializer if t.name.endswith("cascade/threshold")]
    limit.CopyFrom(numpy_helper.from_array(np.float32(0.99), limit.name))
    laid_out = bench(cascade, tmp_path)
    laid_out.folder = tmp_path / "other"
    laid_out.folder.mkdir()
    onnx.save(model, laid_out.folder / "model.onnx")
    told = {check.name: check for check in cascade_checks(laid_out)}
    assert not told["cascade, threshold"].holds
    assert told["cascade, threshold"].found == "0.99"
    assert not told["cascade, passed on"].holds


def test_a_second_model_relabelled_int8_is_told(cascade: Shipped, tmp_path: Path) -> None:
    second = cascade.candidate.second
    assert second is not None
    relabelled = replace(second, precision=Precision(8))
    behind = Cascade.to(relabelled.to_json(), THRESHOLD)
    laid_out = bench(cascade, tmp_path)
    laid_out.claims = replace(
        laid_out.claims,
        candidate=json.loads(json.dumps(replace(cascade.candidate, others=(behind,)).to_json())),
    )
    told = {check.name: check for check in cascade_checks(laid_out)}
    assert "8 bits are claimed" in told["cascade, second model"].why
    assert told["cascade, first model"].holds

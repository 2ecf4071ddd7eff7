"""An exported ensemble holds; one of other models does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from contracts.shipped import Shipped, alone, inspection, predictions, shipped, table
from greenfront.errors import DataError
from greenfront.objectives.packaging.ensemble import ensemble_checks
from greenfront.objectives.packaging.package import encoded
from greenfront.objectives.packaging.verification import verified
from greenfront.objectives.stages.ensemble import mean_answers, members_of
from greenfront.objectives.stages.evaluate import answers_of, open_artefact
from greenfront.objectives.stages.fitted_export import ML_OPSET
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.ensemble import Ensemble
from greenfront.spaces.techniques.precision import Precision


@pytest.fixture(scope="module", params=["classes", "numbers"])
def ensemble(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("ensemble")
    settings = table(folder, number=request.param == "numbers")
    return shipped(settings, "mlp", folder, ensemble=True)


def test_it_holds(ensemble: Shipped, tmp_path: Path) -> None:
    found = verified(inspection(ensemble, tmp_path))
    # Joules are measured beside other tests here.
    broken = [c for c in found.checks if c.holds is False and "label" not in c.name]
    assert [check for check in broken if "session" not in check.name] == []
    names = [check.name for check in found.checks if check.name.startswith("ensemble")]
    assert names == ["ensemble, models", *(f"ensemble, model {place}" for place in (1, 2, 3))]
    told = predictions(alone(ensemble.folder, ensemble.settings.path, "--json"))
    assert len(told) == 160


def test_it_answers_as_the_mean_of_its_models(ensemble: Shipped, tmp_path: Path) -> None:
    runtime, candidate = ensemble.runner.runtime, ensemble.candidate
    inputs = encoded(runtime, candidate, "test")[0].inputs
    answers = []
    for place, part in enumerate(members_of(onnx.load(inspection(ensemble, tmp_path).core))):
        onnx.save(part, tmp_path / f"{place}")
        answers.append(answers_of(open_artefact(tmp_path / f"{place}", 1), inputs))
    whole = answers_of(open_artefact(ensemble.core, 1), inputs)
    numbers = runtime.models.task.facts.regression
    assert np.allclose(whole, mean_answers(answers, numbers=numbers), atol=1e-4)
    if not numbers:
        shares = [np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in answers]
        assert np.allclose(np.exp(whole), np.mean(shares, axis=0), atol=1e-5)
    # Each part is the file that its model has by itself.
    for part, mine in zip(candidate.parts, answers, strict=True):
        path = runtime.store.root / ensemble.runner.run(part).artefact
        assert np.allclose(answers_of(open_artefact(path, 1), inputs), mine, atol=1e-5)


def test_a_network_in_8_bits_stands_beside_trees(ensemble: Shipped) -> None:
    """Its quantizer lists a later version of the trees' operators, which it has none of."""
    runner, candidate = ensemble.runner, replace(ensemble.candidate, precision=Precision(8))
    root, inputs = runner.runtime.store.root, encoded(runner.runtime, candidate, "test")[0].inputs
    files = [root / runner.run(each).artefact for each in (candidate, *candidate.parts)]
    sets = {each.domain: each.version for each in onnx.load(files[1]).opset_import}
    assert sets["ai.onnx.ml"] > ML_OPSET
    whole, *answers = (answers_of(open_artefact(file, 1), inputs) for file in files)
    numbers = runner.runtime.models.task.facts.regression
    assert np.allclose(whole, mean_answers(answers, numbers=numbers), atol=1e-4)


def test_what_it_is_made_of_is_paid_for(ensemble: Shipped) -> None:
    runner, candidate = ensemble.runner, ensemble.candidate
    whole = runner.run(candidate)
    first, *others = (runner.run(part) for part in candidate.parts)
    paid = sum(other.training.joules or 0 for other in others)
    assert whole.phases["others"].joules == pytest.approx(paid)
    assert whole.phases["train"].joules == first.phases["train"].joules
    assert whole.flops == first.flops + sum(other.flops for other in others)
    assert whole.passed_on is None


def test_another_number_of_models_is_told(ensemble: Shipped, tmp_path: Path) -> None:
    claimed = claiming(ensemble, list(ensemble.candidate.companions[:1]))
    laid_out = inspection(ensemble, tmp_path)
    laid_out.claims = replace(laid_out.claims, candidate=claimed)
    told = {check.name: check for check in ensemble_checks(laid_out)}
    assert not told["ensemble, models"].holds
    assert (told["ensemble, models"].claimed, told["ensemble, models"].found) == ("2", "3")


def test_compression_that_is_not_there_is_told(ensemble: Shipped, tmp_path: Path) -> None:
    """All weights of the network are there in 32 bits."""
    rounded = replace(ensemble.candidate, precision=Precision(8))
    laid_out = inspection(ensemble, tmp_path)
    laid_out.claims = replace(laid_out.claims, candidate=json.loads(json.dumps(rounded.to_json())))
    told = {check.name: check for check in ensemble_checks(laid_out)}
    assert "8 bits are claimed" in told["ensemble, model 1"].why
    assert told["ensemble, model 2"].holds


def test_a_single_model_is_no_ensemble(ensemble: Shipped) -> None:
    path = (
        ensemble.runner.runtime.store.root / ensemble.runner.run(ensemble.candidate.alone).artefact
    )
    with pytest.raises(DataError, match="must hold the mean of its models' answers"):
        members_of(onnx.load(path))


def claiming(model: Shipped, companions: list[Candidate]) -> dict[str, object]:
    """The candidate with other companions, in JSON values."""
    others = (Ensemble.of([each.to_json() for each in companions]),)
    told: dict[str, object] = json.loads(
        json.dumps(replace(model.candidate, others=others).to_json())
    )
    return told

"""An honest model holds; each way of cheating fails, in the right words."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from contracts.shipped import Shipped, images, inspection, shipped, table, texts
from contracts.tampering import changed_mean, of_another_split, rewritten, swapped_labels
from greenfront.objectives.packaging.claims import CLAIMS, read_claims
from greenfront.objectives.packaging.findings import Verified
from greenfront.objectives.packaging.inspection import Inspection
from greenfront.objectives.packaging.package import PackageRequest, package
from greenfront.objectives.packaging.verification import verified
from greenfront.objectives.stages.sparsify import zero_weakest
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("honest")
    return shipped(table(folder), "mlp", folder)


@pytest.fixture
def model(honest: Shipped, tmp_path: Path) -> Shipped:
    """A copy to tamper with; whoever forges a model recomputes its checksums, too."""
    shutil.copytree(honest.folder, tmp_path / "copy")
    return replace(honest, folder=tmp_path / "copy")


def failures(found: Verified) -> dict[str, str]:
    # Joules are measured beside other tests here: they are looked at in the claims alone.
    return {
        check.name: check.why
        for check in found.checks
        if check.holds is False and "raw input to label" not in check.name
        if "session options" not in check.name
    }


def looked_at(model: Shipped, scratch: Path, **claims: Any) -> dict[str, str]:
    laid_out = inspection(model, scratch / "bench")
    return failures(verified(replace(laid_out, claims=replace(laid_out.claims, **claims))))


def as_candidate(model: Shipped, candidate: Candidate) -> Shipped:
    return replace(model, candidate=candidate)


def test_an_honest_model_holds(model: Shipped, tmp_path: Path) -> None:
    found = verified(inspection(model, tmp_path / "bench"))
    assert failures(found) == {}
    names = [check.name for check in found.checks]
    assert names[:3] == ["data and splits", "labels", "preprocessing"]
    assert {"compression", "bytes", "weights", "operators", "torch network"} <= set(names)
    assert {"accuracy, validation", "accuracy, test"} <= set(names)
    assert {"energy, raw input to label", "the same, no session options"} <= set(names)
    assert found.test == model.packaged.test


@pytest.mark.parametrize(
    ("settings", "family"),
    [
        (functools.partial(table, number=True), "mlp"),
        (images, "cnn"),
        (table, "sklearn:extra_trees"),
        (lambda _: TaskSettings("digits"), "mlp"),
    ],
    ids=["numbers", "images", "trees", "arrays"],
)
def test_an_honest_model_of_another_kind_holds(
    settings: Callable[[Path], TaskSettings], family: str, tmp_path: Path
) -> None:
    model = shipped(settings(tmp_path), family, tmp_path)
    found = verified(inspection(model, tmp_path / "bench"))
    assert failures(found) == {}
    assert found.test == model.packaged.test


def test_claims_in_their_first_form_are_read(model: Shipped, tmp_path: Path) -> None:
    claims = inspection(model, tmp_path / "bench").claims
    claims.write(tmp_path)
    held = json.loads((tmp_path / CLAIMS).read_text())
    for now, then in (("model_alone", "credited"), ("reference", "pace")):
        held[then] = held.pop(now)
    (tmp_path / CLAIMS).write_text(json.dumps({**held, "version": 1}))
    assert read_claims(tmp_path) == replace(claims, version=1)


def test_honest_texts_hold_and_another_tokenizer_does_not(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    model = shipped(texts(tmp_path / "data"), "bag", tmp_path)
    assert looked_at(model, tmp_path) == {}
    path = model.folder / "tokenizer.json"
    held = json.loads(path.read_text())
    words = held["model"]["vocab"]
    words["the"], words["fine"] = words["fine"], words["the"]
    path.write_text(json.dumps(held))
    told = looked_at(model, tmp_path / "again")
    assert told == {"tokenizer": "tokenizer.json is not the one that the training texts teach"}


def test_32_bits_that_claim_to_be_int8(model: Shipped, tmp_path: Path) -> None:
    lying = as_candidate(model, replace(model.candidate, precision=Precision(8)))
    told = looked_at(lying, tmp_path)
    assert set(told) == {"compression"}
    assert "int8 kernels are claimed, but the runtime executes none" in told["compression"]
    assert "only 0% of the large weights are stored in so few" in told["compression"]


def test_a_mask_that_claims_to_be_pruned(honest: Shipped, tmp_path: Path) -> None:
    """Half of the weights are zero, and all of them are there."""
    runner, candidate = honest.runner, honest.candidate
    models = runner.runtime.models
    network = models.load(candidate, honest.folder / "model.safetensors")
    zero_weakest(network, 0.5)
    weights = tmp_path / "masked.safetensors"
    models.save(network, candidate, weights, 3)
    core = tmp_path / "masked.onnx"
    from greenfront.objectives.stages.export import to_onnx

    to_onnx(network, models.data(candidate).train.inputs[:1], core)
    masked = repackaged(honest, core, weights, tmp_path / "out")
    lying = as_candidate(masked, replace(candidate, pruning=Pruning(0.5)))
    told = looked_at(lying, tmp_path)
    assert set(told) == {"compression"}
    assert "pruning is claimed, but the file stores" in told["compression"]
    assert "and the unpruned network has" in told["compression"]


def repackaged(model: Shipped, core: Path, weights: Path, folder: Path) -> Shipped:
    """The same packaging around another file and network."""
    from greenfront.objectives.pipeline.trial import Delivered, TrialRunner

    class Substitute(TrialRunner):
        def delivered(self, candidate: Candidate, artefact: str) -> Delivered:
            return Delivered(core, weights)

    folder.mkdir()
    request = PackageRequest(model.candidate, model.artefact, None, folder)
    packaged = package(Substitute(model.runner.runtime), request, model.settings)
    return replace(model, folder=folder, packaged=packaged)


def test_a_swapped_list_of_labels(model: Shipped, tmp_path: Path) -> None:
    rewritten(model, swapped_labels)
    swapped = replace(model.packaged.labels, classes=model.packaged.labels.classes[::-1])
    told = looked_at(model, tmp_path, labels=swapped)
    assert told["labels"] == "labels are not those of the data: those of the claims differ at 0"
    assert "its preprocessing, threshold or labels were changed" in told["raw input, test"]


@pytest.mark.parametrize("told_too", [False, True])
def test_a_changed_mean(model: Shipped, tmp_path: Path, told_too: bool) -> None:
    rewritten(model, functools.partial(changed_mean, told_too=told_too))
    told = looked_at(model, tmp_path, file_bytes=(model.folder / "model.onnx").stat().st_size)
    assert "is not what the training rows teach" in told["preprocessing"]
    assert ("mean" if told_too else "inlet/means[0]") in told["preprocessing"]


def test_another_test_split(model: Shipped, tmp_path: Path) -> None:
    """Also where the forger claims that split's own fingerprint."""
    other = of_another_split(model, tmp_path)
    laid_out: Inspection = replace(inspection(model, tmp_path / "bench"), runtime=other)
    told = failures(verified(laid_out))
    assert "another test split" in told["data and splits"]
    forged = replace(laid_out.claims, fingerprint=other.models.task.facts.fingerprint)
    (tmp_path / "second").mkdir()
    told = failures(verified(replace(laid_out, claims=forged, scratch=tmp_path / "second")))
    assert "is not what the training rows teach" in told["preprocessing"]


def test_another_network_beside_it(model: Shipped, tmp_path: Path) -> None:
    models = model.runner.runtime.models
    torch.manual_seed(9)
    stranger = models.build(model.candidate, 9)
    models.save(stranger, model.candidate, model.folder / "model.safetensors", 9)
    told = looked_at(model, tmp_path)
    assert told == {"torch network": "file and torch network agree on fewer test examples"}
    (model.folder / "model.safetensors").unlink()
    told = looked_at(model, tmp_path / "again")
    assert told == {"torch network": "it is missing"}


def test_scores_and_joules_that_are_too_good(model: Shipped, tmp_path: Path) -> None:
    better = replace(model.packaged.test, score=1.01)
    reading = model.packaged.cost.energy
    assert reading.joules is not None
    cheaper = replace(model.packaged.cost, energy=replace(reading, joules=reading.joules / 100))
    laid_out = inspection(model, tmp_path / "bench")
    claims = replace(laid_out.claims, test=better, cost=cheaper)
    found = verified(replace(laid_out, claims=claims))
    broken = {check.name: check.why for check in found.checks if check.holds is False}
    assert broken["accuracy, test"] == "the test examples are not scored as claimed"
    assert "times the claimed energy" in broken["energy, raw input to label"]


def test_a_file_that_cannot_be_read(model: Shipped, tmp_path: Path) -> None:
    (model.folder / "model.onnx").write_bytes(b"nothing")
    told = looked_at(model, tmp_path)
    assert set(told) >= {"labels", "preprocessing", "raw input", "compression", "file", "scores"}
    assert told["labels"].startswith("model.onnx is no ONNX file (")
    assert "Protobuf parsing failed" in told["raw input"]

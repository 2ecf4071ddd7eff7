from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.options import untouched
from greenfront.spaces.candidate import ArchitectureChoice, Candidate, Placement
from greenfront.spaces.knobs import Value
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.sparsity import Sparsity
from greenfront.spaces.techniques.training import Training

CANDIDATE = Candidate(
    architecture=ArchitectureChoice("cnn", (("block", "inverted"), ("depth", 3), ("width", 0.5))),
    training=Training("sgd", 1e-2, 32, True, 7, 2, 1),
    pruning=Pruning(0.5),
    precision=Precision(8),
    distillation=Distillation(4.0, 0.7),
    placement=Placement("cuda"),
    sparsity=Sparsity(0.6),
)


def candidates() -> st.SearchStrategy[Candidate]:
    values = st.one_of(
        st.text(max_size=5), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
    )
    shapes = st.dictionaries(st.text(max_size=5), values, max_size=4)
    rates, counts = st.floats(1e-6, 1), st.integers(1, 500)
    return st.builds(
        Candidate,
        st.builds(
            ArchitectureChoice, st.text(max_size=5), shapes.map(lambda s: tuple(sorted(s.items())))
        ),
        st.builds(
            Training,
            st.sampled_from(["adamw", "sgd"]),
            rates,
            counts,
            st.booleans(),
            counts,
            counts,
            counts,
        ),
        st.builds(Pruning, rates),
        st.builds(Precision, st.sampled_from([32, 16, 8])),
        st.none() | st.builds(Distillation, st.floats(1, 20), rates),
        st.builds(Placement, st.sampled_from(["cpu", "cuda"])),
        st.builds(Sparsity, st.just(0.0) | rates),
    )


def changes() -> list[tuple[str, Candidate]]:
    """The candidate with one field changed, for every field there is."""
    other: dict[type, Any] = {str: "other", float: 0.123, int: 99, bool: False}
    changed = []
    for part in ("training", "pruning", "precision", "distillation", "placement", "sparsity"):
        value = getattr(CANDIDATE, part)
        for field in fields(value):
            old = getattr(value, field.name)
            new = replace(value, **{field.name: not old if old is False else other[type(old)]})
            changed.append((f"{part}.{field.name}", replace(CANDIDATE, **{part: new})))
    shape = dict(CANDIDATE.architecture.shape)
    altered: list[tuple[str, str, dict[str, Value]]] = [
        ("family", "mlp", shape),
        ("value", "cnn", {**shape, "depth": 4}),
        ("more", "cnn", {**shape, "kernel": 3}),
        ("less", "cnn", {"block": "inverted"}),
    ]
    for name, family, settings in altered:
        choice = ArchitectureChoice(family, tuple(sorted(settings.items())))
        changed.append((f"architecture.{name}", replace(CANDIDATE, architecture=choice)))
    return [*changed, ("no distillation", replace(CANDIDATE, distillation=None))]


@given(candidates())
def test_candidates_survive_json(candidate: Candidate) -> None:
    again = Candidate.from_json(json.loads(json.dumps(candidate.to_json())))
    assert again == candidate
    assert again.key == candidate.key
    assert hash(again) == hash(candidate)


@given(candidates(), candidates())
def test_equal_candidates_have_equal_keys_and_others_do_not(
    first: Candidate, second: Candidate
) -> None:
    assert (first.key == second.key) == (first.to_json() == second.to_json())


@pytest.mark.parametrize(("field", "changed"), changes(), ids=lambda v: v if type(v) is str else "")
def test_every_field_is_part_of_the_key(field: str, changed: Candidate) -> None:
    assert changed != CANDIDATE
    assert changed.key != CANDIDATE.key
    assert Candidate.from_json(changed.to_json()) == changed


def test_every_field_of_a_candidate_is_tried_above() -> None:
    tried = {field.split(".")[0] for field, _ in changes()} - {"no distillation"}
    assert tried | {"others"} == {field.name for field in fields(Candidate)}


@pytest.mark.parametrize("seed", ["0", "1", "4321"])
def test_the_key_is_the_same_in_every_process(seed: str) -> None:
    code = (
        "import json, sys\n"
        "from greenfront.spaces.candidate import Candidate\n"
        "print(Candidate.from_json(json.load(sys.stdin)).key, end='')"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(dict(reversed(CANDIDATE.to_json().items()))),
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout == CANDIDATE.key


def test_untouched_means_no_technique() -> None:
    plain = untouched(CANDIDATE)
    assert plain == Candidate(
        CANDIDATE.architecture, CANDIDATE.training, placement=CANDIDATE.placement
    )
    assert plain.untouched
    assert not replace(plain, pruning=Pruning(0.05)).untouched
    assert not replace(plain, precision=Precision(16)).untouched
    assert not replace(plain, sparsity=Sparsity(0.05)).untouched
    assert not replace(plain, distillation=Distillation(1.0, 0.5)).untouched


def test_people_see_what_matters() -> None:
    assert CANDIDATE.describe() == (
        "cnn block=inverted depth=3 width=0.5 · pruned 50% · 60% zeros · 8 bits · distilled T=4"
    )
    assert untouched(CANDIDATE).describe() == "cnn block=inverted depth=3 width=0.5"
    assert Candidate(ArchitectureChoice("mlp", ())).describe() == "mlp"


def test_epochs_count_those_after_pruning_and_a_fit_as_one() -> None:
    assert CANDIDATE.most_epochs == 8
    assert replace(CANDIDATE, pruning=Pruning()).most_epochs == 7
    fitted = replace(CANDIDATE, architecture=ArchitectureChoice("sklearn:logistic", ()))
    assert fitted.most_epochs == 1


@pytest.mark.parametrize(
    ("precision", "devices"),
    [
        (Precision(32), ["cpu", "cuda"]),
        (Precision(16), ["cuda"]),
        (Precision(8), ["cpu"]),
        (Precision(8, weight_only=True), []),
        (Precision(4), []),
        (Precision(2, quantization_aware=True), []),
    ],
)
def test_what_a_device_computes_in(precision: Precision, devices: list[Any]) -> None:
    assert [device for device in ("cpu", "cuda") if precision.computed_on(device)] == devices

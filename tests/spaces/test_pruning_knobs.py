from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from contracts.options import network_options, untouched
from greenfront.spaces.network_space import (
    baseline_candidates,
    first_generation,
    network_space,
)
from greenfront.spaces.techniques.pruning import IMPORTANCES, importance_objection, is_of_nni

OPTIONS = network_options("mlp", "cnn")
SPARSE = network_options("mlp", "cnn", sparsity=(0.0, 0.9))


def test_zeros_are_never_tried_unless_asked_for() -> None:
    space = network_space(OPTIONS)
    assert "sparsity" not in {knob.name for knob in space.knobs}
    assert space.decode(space.sample(np.random.default_rng(0))).sparsity.share == 0.0


def test_the_share_of_zeros_is_a_knob_beside_pruning() -> None:
    space = network_space(SPARSE)
    rng = np.random.default_rng(0)
    drawn = [space.decode(space.sample(rng)) for _ in range(300)]
    shares = {candidate.sparsity.share for candidate in drawn}
    assert (min(shares), max(shares)) == (0.0, 0.9)
    assert {round(share / 0.05, 6) % 1 for share in shares} == {0.0}
    assert any(c.sparsity.share and c.pruning.ratio for c in drawn)


def test_one_share_of_zeros_is_used_and_not_asked() -> None:
    space = network_space(network_options("mlp", sparsity=(0.6, 0.6)))
    assert "sparsity" not in {knob.name for knob in space.knobs}
    assert space.decode(space.sample(np.random.default_rng(0))).sparsity.share == 0.6
    (baseline,) = baseline_candidates(network_options("mlp", sparsity=(0.6, 0.6)))
    assert baseline.untouched


@pytest.mark.parametrize(("epochs", "kinds"), [(3, {False}), (4, {False, True})])
def test_steps_between_too_few_epochs_are_no_other_network(epochs: int, kinds: set[bool]) -> None:
    """Pruning at once and in one step is the same, and so is its candidate."""
    options = network_options("mlp", gradual=(False, True), fine_tune_epochs=epochs)
    space = network_space(options)
    rng = np.random.default_rng(0)
    drawn = [space.decode(space.sample(rng)).pruning for _ in range(60)]
    assert {pruning.gradual for pruning in drawn if pruning.ratio} == kinds
    fixed = network_options("mlp", gradual=(True,), fine_tune_epochs=epochs)
    space = network_space(fixed)
    drawn = [space.decode(space.sample(rng)).pruning for _ in range(60)]
    assert {pruning.gradual for pruning in drawn if pruning.ratio} == {epochs == 4}


def test_a_search_begins_with_zeros_alone() -> None:
    space = network_space(SPARSE)
    candidates = [space.decode(point) for point in first_generation(SPARSE, space, 0)]
    sparse = [c for c in candidates if c.sparsity.share]
    assert {c.sparsity.share for c in sparse} == {0.5}
    # The most capable family comes first.
    assert [untouched(c) for c in sparse] == baseline_candidates(SPARSE)[::-1]
    assert all(c.pruning.ratio == 0 and c.precision.bits == 32 for c in sparse)


def test_the_importances_of_nni_are_asked_for_nni(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nni", None)
    objections = {name: importance_objection(name) for name in IMPORTANCES}
    assert {name for name, objection in objections.items() if objection} == {
        name for name in IMPORTANCES if is_of_nni(name)
    }
    assert objections["nni:l1"] == (
        "'nni:l1' needs the package 'nni', which is not installed: pip install 'greenfront[nni]' "
        "&& pip install --no-deps nni==3.0"
    )


def test_asking_imports_nothing() -> None:
    code = (
        "import sys\n"
        "from greenfront.spaces.techniques.pruning import importance_objection\n"
        "importance_objection('nni:movement')\n"
        "print({'nni', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

"""A space with fitted models beside networks: techniques are for networks."""

from __future__ import annotations

import numpy as np

from contracts.options import network_options
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.network_space import first_generation, network_space, reference_candidate

TREES = "sklearn:extra_trees"


def test_a_point_of_a_fitted_model_holds_its_own_knobs_alone() -> None:
    space = network_space(network_options("mlp", TREES, temperature=(2.0, 4.0)))
    seen = set()
    for seed in range(40):
        point = space.sample(np.random.default_rng(seed))
        candidate = space.decode(point)
        seen.add(candidate.architecture.family)
        if candidate.architecture.family == TREES:
            assert point.keys() == {"architecture", f"{TREES}.trees", f"{TREES}.leaf"}
            assert candidate.untouched
            told = candidate.to_json()
            assert Candidate.from_json(told) == candidate
            told.pop("placement")
            assert told.pop("architecture")["family"] == TREES
            assert set(told.values()) == {None}
        else:
            assert {"bits", "pruning", "batch_size"} <= point.keys()
    assert seen == {"mlp", TREES}


def test_a_space_of_fitted_models_alone_has_no_techniques() -> None:
    space = network_space(network_options(TREES))
    assert [knob.name for knob in space.knobs] == [f"{TREES}.trees", f"{TREES}.leaf"]
    assert space.size() == 20 * 4


def test_a_first_generation_tries_each_fitted_model_as_it_is_and_smaller() -> None:
    options = network_options("mlp", TREES)
    space = network_space(options)
    tried = [space.decode(point) for point in first_generation(options, space, seed=0)]
    fitted = [each for each in tried if each.architecture.family == TREES]
    assert [dict(each.architecture.shape) for each in fitted] == [
        {"leaf": 1, "trees": 100},
        {"leaf": 1, "trees": 50},
    ]
    assert fitted[0] == reference_candidate(TREES)
    assert tried.index(fitted[0]) == 1


def test_a_fitted_model_is_described_by_its_settings() -> None:
    assert reference_candidate("sklearn:ridge").describe() == "sklearn:ridge alpha=1.0"
    drawn = Candidate(ArchitectureChoice("sklearn:ridge", (("alpha", 0.012345678),)))
    assert drawn.describe() == "sklearn:ridge alpha=0.0123"

"""Bits by layer: what is changed is what the measurements say, and what was made is that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.shipped import Shipped, shipped, table
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.metered import InferenceCost
from greenfront.objectives.stages.turns import Ratio, Turned
from greenfront.objectives.tuning import layer_plan as planning
from greenfront.objectives.tuning.layer_plan import layer_plan
from greenfront.objectives.tuning.members import Validation
from greenfront.objectives.tuning.plans import Gain, LayerPlan, Member
from greenfront.spaces.techniques.layer_bits import LayerBits
from greenfront.spaces.techniques.precision import Precision

Cost = Callable[[frozenset[str], Sequence[str]], float]
"""Joules by the layers at 32 bits, and the names of all layers."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("network")
    return shipped(table(folder), "mlp", folder)


def turned(joules: float, ratio: float, spread: float) -> Turned:
    reading = Reading(joules, joules, joules, "measured", "test", 1.0, 1.0)
    return Turned(InferenceCost(reading, 1.0), Ratio(ratio, ratio - spread, ratio + spread), ())


def planned(
    network: Shipped,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    cost: Cost,
    spread: float = 0.001,
) -> LayerPlan:
    """The plan where a file with some layers at 32 bits takes what ``cost`` says."""

    def in_turns(files: planning._Files, sets: Sequence[frozenset[str]]) -> list[Turned]:
        joules = [cost(each, files.names) for each in sets]
        return [turned(each, each / joules[0], spread) for each in joules]

    monkeypatch.setattr(planning._Files, "in_turns", in_turns)
    member = Member(0, network.candidate.to_json(), network.artefact, 1.0)
    return layer_plan(network.runner, member, Validation(network.runner.runtime), scratch)


def test_layers_that_gain_get_8_bits_and_the_file_is_that(
    network: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cost(floating: frozenset[str], names: Sequence[str]) -> float:
        # The first layer is cheaper at 32 bits, each other one in 8.
        first, *others = (name in floating for name in names)
        return (1.0 if first else 3.0) + sum(4.0 if each else 1.0 for each in others)

    plan = planned(network, tmp_path, monkeypatch, cost)
    assert plan.floating == (plan.tried[0].name,)
    assert 2 * plan.layers == len(plan.tried) > 4
    assert plan.over_int8 is not None
    assert plan.over_int8.value < 1
    assert {each.to_bits for each in plan.tried} == {8, 32}
    candidate = replace(
        network.candidate, precision=Precision(8), others=(LayerBits(plan.floating),)
    )
    outcome = network.runner.run(candidate)
    assert outcome.unreal == ()
    assert outcome.floating_layers == 1
    assert "8 bits · 1 layer at 32 bits" in candidate.describe()
    delivered = network.runner.delivered(candidate, outcome.artefact)
    assert delivered.network is not None


@pytest.mark.parametrize("of_float", [0.5, 2.0])
def test_where_all_layers_are_alike_there_is_no_plan(
    network: Shipped,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    of_float: float,
) -> None:
    def cost(floating: frozenset[str], names: Sequence[str]) -> float:
        # A single layer that differs pays for conversions.
        alone = len(floating) in (1, len(names) - 1)
        return 9 + (of_float - 1) * len(floating) + 3 * alone

    plan = planned(network, tmp_path, monkeypatch, cost)
    assert plan.floating == ()
    assert "no layer takes clearly less with other bits" in plan.reason


def test_what_is_not_clear_or_does_worse_is_not_taken(
    network: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cost(floating: frozenset[str], _names: Sequence[str]) -> float:
        return 1.0 if len(floating) == 1 else 1.1

    unclear = planned(network, tmp_path, monkeypatch, cost, spread=0.2)
    assert unclear.floating == ()
    monkeypatch.setattr(planning, "gain", lambda *_given: Gain(-0.1, -0.2, -0.01))
    worse = planned(network, tmp_path, monkeypatch, cost)
    assert worse.floating == ()

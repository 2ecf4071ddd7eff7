"""One step stricter or looser from any network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.options import network_options
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.follow_up import moved
from greenfront.spaces.knobs import Point
from greenfront.spaces.network_space import network_space

FAMILIES = ("mlp", "cnn", "lenet")
OPTIONS = network_options(
    *FAMILIES, bits=(32, 16, 8), epochs=(4, 16), int8_pays=frozenset(FAMILIES)
)
SPACE = network_space(OPTIONS)
RATIO, BITS = "pruning", "bits"


def draw(seed: int) -> dict[str, str | int | float | bool]:
    return SPACE.sample(np.random.default_rng(seed))


def sizes(point: Point) -> list[float]:
    """Settings on which the costs depend, negative where a larger one is cheaper."""
    family = architecture(str(point["architecture"]))
    usual = family.baseline()
    return [
        float(point[f"{family.name}.{name}"]) * (-1 if float(small) > float(usual[name]) else 1)
        for name, small in family.smaller().items()
        if f"{family.name}.{name}" in point
    ]


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_stricter_network_takes_less_of_everything_that_moved(seed: int, far: bool) -> None:
    point = draw(seed)
    move = moved(OPTIONS, SPACE, point, stricter=True, far=far)
    if move is None:
        assert (point[RATIO], point[BITS]) == (0.8, 8)
        return
    new = move.point
    assert SPACE.complete(new, np.random.default_rng(0)) == new
    assert SPACE.decode(new).key != SPACE.decode(point).key
    assert new["architecture"] == point["architecture"]
    assert float(new[RATIO]) >= float(point[RATIO])
    assert int(new[BITS]) <= int(point[BITS])
    assert all(now <= before for now, before in zip(sizes(new), sizes(point), strict=True))
    changed = [name for name in new if new[name] != point.get(name)]
    assert all(f"{name.replace('_', ' ').replace('.', ' ')} " in move.told for name in changed)
    if not far and float(point[RATIO]) < 0.8:
        assert changed == [RATIO]


@given(st.integers(0, 2**32 - 1))
def test_strictness_comes_to_an_end_and_looseness_leads_back(seed: int) -> None:
    point = draw(seed)
    for stricter in (True, False):
        for _ in range(40):
            move = moved(OPTIONS, SPACE, point, stricter=stricter, far=True)
            if move is None:
                break
            point = move.point
        assert move is None
        ends = {True: (0.8, 8), False: (0.0, 32)}
        assert (point[RATIO], point[BITS]) == ends[stricter]
        if not stricter:
            assert point["epochs"] == 16


@pytest.mark.parametrize(
    ("measured_on", "int8_pays", "bytes_count", "ends"),
    [
        ("cpu", {"mlp"}, False, {32: 8, 16: 8, 8: 8, 4: 8}),
        ("cpu", set(), False, {32: 32, 16: 16, 8: 8, 4: 4}),
        ("cuda", set(), False, {32: 16, 16: 16, 8: 16, 4: 16}),
        ("cuda", set(), True, {32: 16, 16: 8, 8: 4, 4: 4}),
    ],
    ids=("int8 kernels", "packed weights", "half floats", "size"),
)
def test_bits_step_to_those_that_take_less_here(
    measured_on: str, int8_pays: set[str], bytes_count: bool, ends: dict[int, int]
) -> None:
    options = network_options(
        "mlp",
        bits=(32, 16, 8, 4),
        pruning=(0.0, 0.0),
        measured_on=measured_on,
        int8_pays=frozenset(int8_pays),
    )
    space = network_space(options)
    sampled = space.sample(np.random.default_rng(0))
    for bits, end in ends.items():
        point = space.complete({**sampled, BITS: bits}, np.random.default_rng(0))
        move = moved(options, space, point, stricter=True, far=True, bytes_count=bytes_count)
        assert move is not None  # the shape has steps left
        assert move.point[BITS] == end


def test_what_cannot_be_moved_is_left_alone() -> None:
    options = network_options("mlp", pruning=(0.0, 0.0), bits=(32,))
    space = network_space(options)
    point = space.sample(np.random.default_rng(0)) | {"mlp.depth": 2, "mlp.width_1": 64}
    point = space.complete({**point, "mlp.width_2": 32}, np.random.default_rng(0))
    move = moved(options, space, point, stricter=True, far=False)
    assert move is not None
    assert move.told == "mlp width 1 64 → 32, mlp width 2 32 → 16"

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from greenfront.errors import UsageError
from greenfront.spaces.knobs import Categorical, Integer, Knob, Point, Real, Value, When
from greenfront.spaces.space import PlainChoice, SearchSpace, stable_hash

Space = SearchSpace[PlainChoice]
seeds = st.integers(0, 2**32 - 1)

TREE: Space = SearchSpace(
    (
        Categorical("kind", ("plain", "deep")),
        Integer("depth", 1, 3, when=(When("kind", ("deep",)),)),
        Categorical("width", (8, 16), when=(When("depth", (2, 3)),)),
        Categorical("both", ("x", "y"), when=(When("kind", ("deep",)), When("width", (16,)))),
        Real("rate", 0.0, 0.2, step=0.1),
    ),
    decode=PlainChoice,
)
"""3 rates × (plain + deep 1 + deep 2 and 3 × (width 8 + width 16 × 2)) = 3 × (1 + 1 + 6) = 24."""


@st.composite
def spaces(draw: st.DrawFn, *, continua: bool) -> Space:
    """Up to five knobs, each of which may depend on up to two earlier ones."""
    made: list[Knob] = []
    for index in range(draw(st.integers(1, 5))):
        conditions = []
        parents = [knob for knob in made if knob.count() is not None]
        for parent in draw(
            st.lists(st.sampled_from(parents), max_size=2) if parents else st.just([])
        ):
            some = st.lists(st.sampled_from(parent.values()), min_size=1, max_size=2)
            conditions.append(When(parent.name, tuple(draw(some))))
        name, when = f"k{index}", tuple(conditions)
        knob: Knob
        match draw(st.sampled_from("cirl" if continua else "cir")):
            case "c":
                choices = draw(
                    st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True)
                )
                knob = Categorical(name, tuple(choices), when)
            case "i":
                low = draw(st.integers(-3, 3))
                knob = Integer(
                    name, low, low + draw(st.integers(0, 4)), draw(st.integers(1, 2)), when
                )
            case "r":
                knob = Real(name, 0.5, 0.5 + 0.1 * draw(st.integers(0, 3)), 0.1, when=when)
            case _:
                knob = Real(name, 1e-3, 1.0, log=draw(st.booleans()), when=when)
        made.append(knob)
    return SearchSpace(tuple(made), decode=PlainChoice)


def asked(knob: Knob, point: Point) -> bool:
    """Whether a knob means something there; written apart from the code under test."""
    return all(point.get(c.knob, object()) in c.values for c in knob.when)


def every_point(space: Space) -> list[dict[str, Value]]:
    points: list[dict[str, Value]] = [{}]
    for knob in space.knobs:
        points = [
            extended
            for point in points
            for extended in (
                [{**point, knob.name: value} for value in knob.values()]
                if asked(knob, point)
                else [point]
            )
        ]
    return points


def assert_whole(space: Space, point: Mapping[str, Value]) -> None:
    assert list(point) == [knob.name for knob in space.knobs if asked(knob, point)]
    assert all(space.knob(name).contains(value) for name, value in point.items())


@given(spaces(continua=True), seeds)
def test_a_sampled_point_is_whole_and_completes_to_itself(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    point = space.sample(rng)
    assert_whole(space, point)
    assert space.complete(point, rng) == point


@given(spaces(continua=True), seeds)
def test_optuna_can_ask_every_sampled_point(space: Space, seed: int) -> None:
    point = space.sample(np.random.default_rng(seed))
    trial = FixedTrial(dict(point))
    assert space.suggest(trial) == PlainChoice(point)  # type: ignore[arg-type]
    assert trial.params == point
    stored = optuna.trial.create_trial(
        value=0.0, params=point, distributions={n: space.distributions()[n] for n in point}
    )
    assert stored.params == point


@given(spaces(continua=True), seeds)
def test_the_same_seed_draws_the_same_point(space: Space, seed: int) -> None:
    first, again = (space.sample(np.random.default_rng(seed)) for _ in range(2))
    assert first == again


@given(spaces(continua=False))
def test_size_counts_the_points(space: Space) -> None:
    points = every_point(space)
    assert space.size() == len({PlainChoice(point).key for point in points}) == len(points)


@given(spaces(continua=True), st.data())
def test_completing_keeps_what_means_something(space: Space, data: st.DataObject) -> None:
    values = {knob.name: st.sampled_from(knob.values()) for knob in space.knobs}
    wish = data.draw(st.fixed_dictionaries({}, optional=values))
    point = space.complete({**wish, "unknown": 1}, np.random.default_rng(0))
    assert_whole(space, point)
    assert all(point[name] == value for name, value in wish.items() if name in point)


def test_a_new_study_asks_only_whole_points() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(50):
        trial = study.ask()
        choice = TREE.suggest(trial)
        assert_whole(TREE, choice.values)
        assert trial.params == choice.values
        study.tell(trial, 0.0)


def test_the_tree_has_24_points() -> None:
    assert TREE.size() == 24
    assert len(every_point(TREE)) == 24
    rng = np.random.default_rng(0)
    assert len({PlainChoice(TREE.sample(rng)).key for _ in range(1500)}) == 24


def test_settings_that_are_out_of_range_are_drawn_anew() -> None:
    rng = np.random.default_rng(0)
    point = TREE.complete({"kind": "deep", "depth": 9, "width": "8", "rate": 0.15}, rng)
    assert point["kind"] == "deep"
    assert_whole(TREE, point)


def test_settings_that_are_not_asked_are_dropped() -> None:
    given_: Point = {"kind": "plain", "depth": 2, "width": 8, "rate": 0.1, "colour": "red"}
    rng = np.random.default_rng(0)
    assert TREE.complete(given_, rng) == {"kind": "plain", "rate": 0.1}


@pytest.mark.parametrize(
    "knobs",
    [
        (Real("x", 0.0, 1.0),),
        (Categorical("a", (1, 2)), Real("x", 0.0, 1.0, when=(When("a", (1,)),))),
        (Real("x", 0.0, 1.0), Categorical("a", (1, 2), when=(When("x", (0.0,)),))),
    ],
)
def test_a_continuum_has_no_size(knobs: tuple[Knob, ...]) -> None:
    assert SearchSpace(knobs, decode=PlainChoice).size() is None


def test_a_continuum_that_is_never_asked_has_no_part_in_the_size() -> None:
    never = Real("x", 0.0, 1.0, when=(When("a", (3,)),))
    assert SearchSpace((Categorical("a", (1, 2)), never), decode=PlainChoice).size() == 2


def test_decode_makes_the_choice() -> None:
    def decode(point: Point) -> PlainChoice:
        return PlainChoice({"doubled": 2 * int(point["x"])})

    space = SearchSpace((Integer("x", 1, 5),), decode=decode)
    assert space.suggest(FixedTrial({"x": 4})).to_json() == {"doubled": 8}  # type: ignore[arg-type]


def test_an_unknown_knob_has_no_name() -> None:
    assert TREE.knob("width") is TREE.knobs[2]
    with pytest.raises(KeyError):
        TREE.knob("colour")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ((), "the space is empty"),
        ((Integer("x", 0, 1), Categorical("x", (1,))), "two knobs named 'x': rename one"),
        (
            (Integer("x", 0, 1, when=(When("y", (1,)),)), Integer("y", 0, 1)),
            "'x' depends on 'y', which is not asked before it: put it first",
        ),
        ((Integer("x", 0, 1, when=(When("x", (1,)),)),), "'x' depends on 'x'"),
        ((Integer("x", 0, 1, when=(When("z", (1,)),)),), "'x' depends on 'z'"),
    ],
)
def test_an_impossible_space_is_refused(knobs: tuple[Knob, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SearchSpace(knobs, decode=PlainChoice)


def test_keys_do_not_depend_on_the_order() -> None:
    assert PlainChoice({"a": 1, "b": 2}).key == PlainChoice({"b": 2, "a": 1}).key
    assert PlainChoice({"a": 1, "b": 2}).key != PlainChoice({"a": 2, "b": 1}).key
    assert stable_hash([1, 2]) != stable_hash([2, 1])


def test_a_hash_of_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        stable_hash({"a": float("nan")})


def test_hashes_are_the_same_in_every_process() -> None:
    code = (
        "from greenfront.spaces.space import stable_hash\n"
        "print(stable_hash({'b': [1, 2.5, 'ü', None], 'a': {'z': True, 'y': ()}}), end='')"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {stable_hash({"a": {"y": (), "z": True}, "b": [1, 2.5, "ü", None]})}


@given(seeds)
def test_a_changed_point_is_the_completed_one(seed: int) -> None:
    point = TREE.sample(np.random.default_rng(seed))
    for name, value in TREE.sample(np.random.default_rng(seed + 1)).items():
        if name in point:
            one, other = (np.random.default_rng(seed) for _ in range(2))
            changed = TREE.changed(point, {name: value}, one)
            assert changed == TREE.complete({**point, name: value}, other)
            assert list(changed) == [knob.name for knob in TREE.knobs if knob.name in changed]

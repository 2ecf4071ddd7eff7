from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from greenfront.errors import UsageError
from greenfront.spaces.knobs import Categorical, Integer, Knob, Real, Value, When
from greenfront.spaces.space import PlainChoice, SearchSpace

seeds = st.integers(0, 2**32 - 1)


def categoricals() -> st.SearchStrategy[Categorical]:
    values = st.one_of(st.text(max_size=3), st.integers(-5, 5), st.floats(0.1, 0.9))
    choices = st.lists(values, min_size=1, max_size=5, unique=True)
    return st.builds(Categorical, st.just("x"), choices.map(tuple))


def integers() -> st.SearchStrategy[Integer]:
    return st.builds(
        lambda low, span, step: Integer("x", low, low + span, step),
        st.integers(-10, 10),
        st.integers(0, 12),
        st.integers(1, 5),
    )


def grids() -> st.SearchStrategy[Real]:
    return st.builds(
        lambda low, span, step: Real("x", low / 20, (low + span) / 20, step=step / 20),
        st.integers(-40, 40),
        st.integers(0, 40),
        st.integers(1, 9),
    )


def continua() -> st.SearchStrategy[Real]:
    return st.builds(
        lambda low, factor, log: Real("x", low, low * factor, log=log),
        st.floats(1e-5, 10),
        st.floats(1, 1e4),
        st.booleans(),
    )


def discrete() -> st.SearchStrategy[Knob]:
    return st.one_of(categoricals(), integers(), grids())


def knobs() -> st.SearchStrategy[Knob]:
    return st.one_of(discrete(), continua())


def asked_of_optuna(knob: Knob, value: Value) -> Value:
    """What Optuna makes of a setting; it warns, and so fails, where the setting is out of range."""
    space = SearchSpace((knob,), decode=PlainChoice)
    return space.suggest(FixedTrial({knob.name: value})).values[knob.name]  # type: ignore[arg-type]


@given(knobs(), seeds)
def test_samples_are_settings_and_optuna_agrees(knob: Knob, seed: int) -> None:
    value = knob.sample(np.random.default_rng(seed))
    assert knob.contains(value)
    assert asked_of_optuna(knob, value) == value


@given(knobs(), seeds)
def test_neighbours_are_settings(knob: Knob, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(5):
        near = knob.near(knob.sample(rng), rng)
        assert knob.contains(near)
        assert asked_of_optuna(knob, near) == near


@given(discrete())
def test_every_setting_is_counted_and_contained(knob: Knob) -> None:
    values = knob.values()
    assert knob.count() == len(values) == len(set(values))
    assert all(knob.contains(value) for value in values)
    assert all(asked_of_optuna(knob, value) == value for value in values)


@given(st.one_of(integers(), grids()))
def test_optunas_range_is_ours(knob: Integer | Real) -> None:
    distribution = knob.distribution()
    assert (distribution.low, distribution.high) == (knob.values()[0], knob.values()[-1])  # type: ignore[attr-defined]
    assert distribution.single() == (knob.count() == 1)


@given(discrete())
def test_every_setting_is_drawn(knob: Knob) -> None:
    rng = np.random.default_rng(0)
    count = knob.count()
    assert count is not None
    drawn = {knob.sample(rng) for _ in range(40 * count)}
    assert drawn == set(knob.values())


@given(continua())
def test_a_continuum_has_no_count(knob: Real) -> None:
    assert knob.count() == (None if knob.high > knob.low else 1)
    assert knob.values() == (knob.low, knob.high)


def test_a_grid_stops_at_its_last_step() -> None:
    assert Integer("x", 2, 9, 3).values() == (2, 5, 8)
    assert Real("x", 0.0, 0.32, step=0.1).values() == (0.0, 0.1, 0.2, 0.3)
    assert Real("x", 0.0, 0.8, step=0.05).values()[-2:] == (0.75, 0.8)


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        (Categorical("x", (1, 2)), 1.0),
        (Categorical("x", (1, 2)), True),
        (Categorical("x", ("a",)), "b"),
        (Categorical("x", (False, True)), 1),
        (Integer("x", 0, 10, 2), 3),
        (Integer("x", 0, 10, 2), 12),
        (Integer("x", 0, 10, 2), -2),
        (Integer("x", 0, 10), True),
        (Integer("x", 0, 10), 2.0),
        (Integer("x", 0, 10), "2"),
        (Real("x", 0.0, 1.0, step=0.25), 0.3),
        (Real("x", 0.0, 1.0), 1.0001),
        (Real("x", 0.0, 1.0), -0.1),
        (Real("x", 0.0, 1.0), math.nan),
        (Real("x", 0.0, 1.0), True),
        (Real("x", 0.0, 1.0), "0.5"),
    ],
)
def test_what_is_no_setting(knob: Knob, value: Value) -> None:
    assert not knob.contains(value)


def test_a_category_moves_to_another_one() -> None:
    rng = np.random.default_rng(0)
    knob = Categorical("x", ("a", "b", "c"))
    assert {knob.near("a", rng) for _ in range(40)} == {"b", "c"}
    assert Categorical("x", ("a",)).near("a", rng) == "a"


def test_a_whole_number_moves_one_or_two_steps() -> None:
    rng = np.random.default_rng(0)
    knob = Integer("x", 0, 100, 10)
    assert {knob.near(50, rng) for _ in range(80)} == {30, 40, 60, 70}
    assert {knob.near(100, rng) for _ in range(80)} == {80, 90, 100}


def test_a_number_moves_by_a_fifth_of_the_range() -> None:
    rng = np.random.default_rng(0)
    linear = [float(Real("x", 0.0, 1000.0).near(500.0, rng)) for _ in range(2000)]
    assert np.std(linear) == pytest.approx(200, rel=0.1)
    log = [float(Real("x", 1e-4, 1.0, log=True).near(1e-2, rng)) for _ in range(2000)]
    assert np.std(np.log10(log)) == pytest.approx(0.8, rel=0.1)
    assert np.mean(np.log10(log)) == pytest.approx(-2, abs=0.1)


def test_draws_are_uniform_or_log_uniform() -> None:
    rng = np.random.default_rng(0)
    linear = [float(Real("x", 1.0, 101.0).sample(rng)) for _ in range(3000)]
    assert np.quantile(linear, [0.25, 0.5, 0.75]) == pytest.approx([26, 51, 76], abs=4)
    log = [float(Real("x", 1e-4, 1.0, log=True).sample(rng)) for _ in range(3000)]
    assert np.quantile(np.log10(log), [0.25, 0.5, 0.75]) == pytest.approx([-3, -2, -1], abs=0.2)
    grid = [float(Real("x", 0.0, 0.2, step=0.1).sample(rng)) for _ in range(3000)]
    assert [grid.count(v) / 3000 for v in (0.0, 0.1, 0.2)] == pytest.approx([1 / 3] * 3, abs=0.04)


def test_a_condition_on_a_knob_that_was_not_asked_fails() -> None:
    condition = When("depth", (2, 3))
    assert condition.holds({"depth": 3})
    assert not condition.holds({"depth": 1})
    assert not condition.holds({"width": 3})


@given(discrete(), st.integers(1, 30))
def test_places_spread_over_all_settings_in_their_order(knob: Knob, count: int) -> None:
    settings = list(knob.values())
    taken = [settings.index(knob.at(index / count)) for index in range(count)]
    assert taken == sorted(taken)
    assert taken[0] == 0
    if count % len(settings) == 0:  # each of them as often
        assert {taken.count(index) for index in range(len(settings))} == {count // len(settings)}


def test_a_place_in_a_logarithmic_range_is_one_of_factors() -> None:
    assert Real("x", 1e-4, 1e-2, log=True).at(0.5) == pytest.approx(1e-3)
    assert Real("x", 0.0, 8.0).at(0.25) == 2.0


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Real("x", 1.0, 0.0), "Real 'x': low and high must be finite, low at most high"),
        (lambda: Real("x", 0.0, math.nan), "must be finite"),
        (lambda: Real("x", 0.0, 1.0, log=True), "low must be above 0 for log, not 0.0"),
        (lambda: Real("x", 0.0, 1.0, step=0.0), "step must be above 0"),
        (lambda: Integer("n", 3, 1), "Integer 'n': low, high and step must be whole numbers"),
        (lambda: Integer("n", 1.5, 3), "must be whole numbers"),  # type: ignore[arg-type]
        (lambda: Categorical("c", ()), r"Categorical 'c': .* at least one value, not \(\)"),
        (lambda: Categorical("c", "abc"), "must be a tuple"),  # type: ignore[arg-type]
        (lambda: Categorical("c", ("a", "a")), "must be distinct"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(make: Callable[[], Knob], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        make()

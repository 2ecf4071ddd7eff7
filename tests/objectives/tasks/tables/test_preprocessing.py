from __future__ import annotations

import json

import numpy as np
import pytest

from contracts.tables import table_of
from greenfront.errors import DataError
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.tasks.tables.infer import Hints, infer
from greenfront.objectives.tasks.tables.preprocessing import (
    MOST_LEVELS,
    NumberStep,
    Preprocessing,
    fit,
)
from greenfront.objectives.tasks.tables.values import Numbers, Values, as_levels, as_numbers

TABLE = {
    "price": ["1.5", "?", "3.5", "10", "2"],
    "paid": ["true", "false", "", "true", "true"],
    "day": ["2026-01-30", "2026-02-02", "", "2026-02-03", "2025-12-01"],
    "land": ["fr", "it", "", "fr", "de"],
}


def values(table: dict[str, list[str]]) -> list[Values]:
    cells = table_of(table)
    found = [(column, infer(column, Hints("toy", kept=True))) for column in cells.columns]
    return sorted(
        (inferred.values(column) for column, inferred in found),
        key=lambda each: not isinstance(each, Numbers),
    )


TRAIN = np.array([0, 1, 2, 3])


def test_inputs_by_hand():
    columns = values(TABLE)
    made = fit(columns, TRAIN)
    assert made.names == (
        *("price", "paid", "day: year", "day: month", "day: day", "day: weekday"),
        *("land = fr", "land = it"),
        *("price is missing", "paid is missing", "day is missing", "land is missing"),
    )
    inputs = made.apply(columns, "toy")
    price = np.array([1.5, 3.5, 3.5, 10])
    np.testing.assert_allclose(inputs[TRAIN, 0], (price - price.mean()) / price.std(), rtol=1e-6)
    np.testing.assert_array_equal(inputs[:, 6:8], [[1, 0], [0, 1], [1, 0], [1, 0], [0, 0]])
    np.testing.assert_array_equal(inputs[:, 8:].T, np.eye(5)[[1, 2, 2, 2]])
    np.testing.assert_allclose(inputs[TRAIN, :6].mean(axis=0), 0, atol=1e-6)
    assert inputs.dtype == np.float32


def test_it_survives_json_and_is_applied_to_new_rows():
    columns = values(TABLE)
    made = fit(columns, TRAIN)
    kept = from_json(Preprocessing, json.loads(json.dumps(to_json(made))))
    assert kept == made
    np.testing.assert_array_equal(kept.apply(columns, "toy"), made.apply(columns, "toy"))
    new = {"price": ["cheap"], "paid": ["maybe"], "day": ["soon"], "land": ["at"], "more": ["1"]}
    rows = table_of(new)
    unknown = kept.apply(
        [
            as_numbers(rows.column(step.column), step.reading)
            if isinstance(step, NumberStep)
            else as_levels(rows.column(step.column))
            for step in kept.steps
        ],
        "toy",
    )
    np.testing.assert_array_equal(unknown[0, 6:], [0, 0, 1, 1, 1, 0])
    np.testing.assert_allclose(unknown[0, 0], made.apply(columns, "toy")[1, 0])


def test_a_missing_value_where_training_had_none_is_filled():
    columns = values(TABLE)
    made = fit(columns, np.array([0, 3, 4]))
    assert not any(step.indicator for step in made.steps)
    inputs = made.apply(columns, "toy")
    np.testing.assert_array_equal(inputs[2, -2:], [0, 1])
    assert np.isfinite(inputs).all()


def test_only_the_most_frequent_names_have_a_place():
    names = [f"n{index % 1500}" for index in range(3000)] + ["n7"] * 3
    column = as_levels(table_of({"name": names}).column("name"))
    made = fit([column], np.arange(len(names)))
    assert len(made.names) == MOST_LEVELS
    assert made.steps[0].fill == "n7"
    inputs = made.apply([column], "toy")
    assert set(inputs.sum(axis=1)) == {0, 1}


def test_a_number_too_large_for_float32_is_refused():
    columns = values({"size": ["1", "2", "3", "1e300"]})
    with pytest.raises(DataError, match=r"toy: standardised values .* too large are 1 in size"):
        fit(columns, np.array([0, 1, 2])).apply(columns, "toy")

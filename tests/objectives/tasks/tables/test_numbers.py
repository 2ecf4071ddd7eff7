from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.tasks.tables.numbers import number_style, parse_numbers


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "-2.5", ".5", "3.", "1e-3", "+4E2"], [1, -2.5, 0.5, 3, 0.001, 400]),
        (["1,5", "-0,25", "2"], [1.5, -0.25, 2]),
        (["1.234,5", "12,5"], [1234.5, 12.5]),
        (["1,234.5", "2,000.25"], [1234.5, 2000.25]),
        (["1,234,567", "1,000"], [1234567, 1000]),
        (["1 234", "12\u202f345", "1'000'000"], [1234, 12345, 1e6]),
        (["$1,250.50", "$ 3", "€7"], [1250.5, 3, 7]),
        (["12 %", "3.5%"], [12, 3.5]),
        (["−4", "5"], [-4, 5]),
        (["1,234", "0,5"], [1.234, 0.5]),
    ],
)
def test_numbers_as_people_write_them(texts, expected):
    style = number_style(texts, comma_decimals=False)
    np.testing.assert_allclose(parse_numbers(texts, style), expected)


def test_a_comma_that_could_be_either_is_what_the_file_suggests():
    texts = ["1,234", "5,678"]
    assert number_style(texts, comma_decimals=False) == "point"
    assert number_style(texts, comma_decimals=True) == "comma"
    np.testing.assert_array_equal(parse_numbers(texts, "point"), [1234, 5678])
    np.testing.assert_array_equal(parse_numbers(texts, "comma"), [1.234, 5.678])


@pytest.mark.parametrize(
    "text",
    ["", "abc", "1_000", "nan", "inf", "1e999", "0x1f", "1,2,3", "1.2.3", "12 kg", "٣", "--1"],
)
def test_what_is_no_number(text):
    assert np.isnan(parse_numbers([text], "point")).all()
    assert np.isnan(parse_numbers([text], "comma")).all()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_what_python_writes_is_read_again(values):
    texts = [repr(value) for value in values]
    np.testing.assert_array_equal(parse_numbers(texts, "point"), values)
    commas = [text.replace(".", ",") for text in texts]
    np.testing.assert_array_equal(parse_numbers(commas, "comma"), values)

"""JSON of a database file is what the standard library reads in it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfront.studies.store.json_text import parsed_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_it_is_what_was_written(value: Any) -> None:
    assert parsed_json(json.dumps(value)) == json.loads(json.dumps(value)) == value


def test_a_name_of_bytes_that_are_no_text_is_read() -> None:
    assert parsed_json(json.dumps("caf\udce9")) == "caf\udce9"


def test_a_number_that_is_none_is_read() -> None:
    assert math.isnan(parsed_json("NaN"))


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        parsed_json("{")

"""The examples of docstrings run, and print what they say."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "objectives.context",
        "objectives.readings",
        "search.optimize",
        "search.problem",
        "spaces.space",
    ],
)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(f"greenfront.{name}"))
    assert result.attempted > 0
    assert result.failed == 0

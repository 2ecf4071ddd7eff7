"""A database server that a test may stop and start again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.postgres import Server, postgres_server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Of the tests of one file alone: others' databases stay."""
    with postgres_server() as started:
        yield started

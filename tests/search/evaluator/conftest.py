from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.evaluators import Purse, start
from greenfront.search.evaluator.process import Evaluator

TESTS = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def evaluators() -> None:
    """Real ones, as in production."""


@pytest.fixture
def purse() -> Purse:
    return Purse()


@pytest.fixture(autouse=True)
def importable_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)


@pytest.fixture
def evaluator(tmp_path: Path, purse: Purse) -> Iterator[Evaluator]:
    evaluator = start(tmp_path, purse)
    yield evaluator
    evaluator.close(purse)

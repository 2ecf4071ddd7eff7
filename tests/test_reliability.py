"""What the documents say is shown by a test is shown by a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_way_to_die_names_a_test() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    kinds = [line for line in rows if not line.startswith("| what dies")]
    assert len(kinds) >= 25
    assert [line for line in kinds if not NAMED.search(line)] == []


@pytest.mark.parametrize("document", ["reliability.md", "scale.md"])
def test_every_test_that_is_named_is_there(document: str) -> None:
    named = NAMED.findall((ROOT / "docs" / document).read_text())
    assert named
    missing = [
        f"{path}::{name}"
        for path, name in named
        if name
        not in {
            node.name
            for node in ast.parse((ROOT / path).read_text()).body
            if isinstance(node, ast.FunctionDef)
        }
    ]
    assert missing == []

"""JSON as a database file keeps it: parsed by the fastest parser at hand."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

__all__ = ["parsed_json"]


def parsed_json(text: str) -> Any:
    """What ``json.loads`` makes of a text, in half the time.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)  # it takes lone surrogates, which names of files may hold

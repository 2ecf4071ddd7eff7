"""The text of a study file, before it is parsed and as it was."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["encoding_of", "texts_in"]


def texts_in(value: Any, key: str = "the file") -> Iterator[tuple[str, str]]:
    """Every text in parsed TOML, keys too, each with the key that it stands at."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield key, name
            yield from texts_in(part, f"[{name}]" if key == "the file" else f"{key} {name}")
    elif isinstance(value, list):
        for part in value:
            yield from texts_in(part, key)


def encoding_of(path: Path) -> str:
    """UTF-8, as TOML is written, or what a byte-order mark says: editors on Windows put them."""
    with path.open("rb") as file:
        begin = file.read(len(codecs.BOM_UTF8))
    return "utf-16" if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"

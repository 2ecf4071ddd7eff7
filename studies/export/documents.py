"""Writes what is said of a model into its folder: record, card, and energy statements."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from greenfront.studies.export.card import CARD, model_card
from greenfront.studies.export.record import RECORD, ModelRecord

__all__ = ["STATEMENTS", "write_documents"]

STATEMENTS = "statements"
"""Folder of the energy statements."""

WRITERS: Mapping[str, Callable[[ModelRecord], Any]] = {}
"""From a statement's file to what makes its JSON of a record."""


def write_documents(record: ModelRecord, folder: Path) -> list[Path]:
    """Writes the record and everything that follows from it; what is there is replaced.

    Args:
        record: Of the model.
        folder: Exists.

    Returns:
        The files.

    Raises:
        OSError: One cannot be written.
    """
    texts = {folder / RECORD: _text(record.to_json()), folder / CARD: model_card(record)}
    for name, writer in WRITERS.items():
        texts[folder / STATEMENTS / name] = _text(writer(record))
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _text(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

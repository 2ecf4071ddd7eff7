"""Writes what is said of a model into its folder: record, card, and energy statements."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from greenfront.studies.export.card import CARD, model_card
from greenfront.studies.export.record import RECORD, ModelRecord
from greenfront.studies.export.statements import ai_act, boamps, cyclonedx, sci, spdx

__all__ = ["write_documents"]

STATEMENTS = "statements"
"""Folder of the energy statements."""

WRITERS: Mapping[str, Callable[[ModelRecord], Any]] = {
    "boamps-training.json": boamps.training,
    "boamps-inference.json": boamps.inference,
    "cyclonedx.json": cyclonedx.bom,
    "spdx.json": spdx.document,
    "sci-ai.json": sci.scores,
    "ai-act.json": ai_act.quantities,
}
"""From a statement's file to what makes its JSON of a record; ``None`` where that is unknown."""


def write_documents(record: ModelRecord, folder: Path) -> list[Path]:
    """Writes the record and everything that follows from it; what is there is replaced.

    A statement whose form requires what is not known is not written.

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
        told, path = writer(record), folder / STATEMENTS / name
        if told is None:
            path.unlink(missing_ok=True)
        else:
            texts[path] = _text(told)
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _text(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

"""A GPU for ONNX Runtime on machines that have none: the CPU plays its part."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import onnxruntime
import pytest

from greenfront.objectives.stages import evaluate, session


def measured_on(folder: Path, device: str) -> None:
    """What a study says of where its predictions were measured becomes another."""
    table, column = "greenfront_studies", "configuration"
    with contextlib.closing(sqlite3.connect(folder / "greenfront.db")) as database, database:
        (told,) = database.execute(f"SELECT {column} FROM {table}").fetchone()
        changed = json.loads(told)
        changed["objectives"]["device"] = device
        database.execute(f"UPDATE {table} SET {column} = ?", (json.dumps(changed),))


def play_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's provider and memory take the place of a GPU's."""
    monkeypatch.setattr(session, "CARD", "CPUExecutionProvider")
    monkeypatch.setattr(session, "CARD_OPTIONS", {})
    monkeypatch.setattr(evaluate, "CARD_MEMORY", "cpu")


def play_tensorrt(
    monkeypatch: pytest.MonkeyPatch, instead: Path | None = None
) -> list[dict[str, str]]:
    """The CPU's provider takes the place of TensorRT's, too.

    Args:
        monkeypatch: Takes all back.
        instead: A file that is run in the place of the one that was given.

    Returns:
        The options of each session of it, in their order.
    """
    given: list[dict[str, str]] = []

    class Compiling(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(
            self, model: str | bytes, options: object, providers: list[object], **told: object
        ) -> None:
            if told:
                assert told == {"enable_fallback": 0}
                (name, engine), card = providers
                assert (name, card) == (session.TENSORRT, (session.CARD, session.CARD_OPTIONS))
                given.append(engine)
                model, providers = str(instead or model), [session.CARD]
            super().__init__(model, options, providers=providers)

    play_card(monkeypatch)
    monkeypatch.setattr(session, "TENSORRT", session.CARD)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Compiling)
    return given

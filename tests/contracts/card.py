"""A GPU for ONNX Runtime on machines that have none: the CPU plays its part."""

from __future__ import annotations

import pytest

from greenfront.objectives.stages import evaluate, session


def play_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's provider and memory take the place of a GPU's."""
    monkeypatch.setattr(session, "CARD", "CPUExecutionProvider")
    monkeypatch.setattr(session, "CARD_OPTIONS", {})
    monkeypatch.setattr(evaluate, "CARD_MEMORY", "cpu")

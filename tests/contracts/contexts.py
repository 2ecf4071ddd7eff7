"""Contexts of trials that do what a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenfront.objectives.context import TrialContext


class Scripted(TrialContext):
    """Hands each report to the function that a test gives for it."""

    def __init__(
        self, stopping: Callable[[], bool] = lambda: False, **takers: Callable[..., Any]
    ) -> None:
        assert takers.keys() <= {"charge", "progress", "hold", "dominated", "size_verdict"}
        self._stopping = stopping
        vars(self).update(takers)

    @property
    def stopping(self) -> bool:
        return self._stopping()

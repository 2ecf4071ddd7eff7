"""What all runs of a study have tried and found, as one of them knows it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from greenfront.search.problem import Problem
from greenfront.studies.analysis.volume import Frontier
from greenfront.studies.store.runs import SILENCE_SECONDS
from greenfront.studies.store.trials import Trials

__all__ = ["Archive"]


class Archive:
    """Candidates that were begun, and the values of those that are complete.

    For use by several threads.

    Args:
        problem: What is searched.
        book: Trials of the study.
    """

    def __init__(self, problem: Problem[Any], book: Trials) -> None:
        self._problem = problem
        self._book = book
        self._lock = threading.Lock()
        self._keys: set[str] = set()
        self._values: dict[str, tuple[float, ...]] = {}
        self._frontier = Frontier([objective.maximise for objective in problem.objectives])
        self._seen_until = 0.0

    def refresh(self) -> None:
        """Takes in what this and other runs have begun and finished."""
        with self._lock:
            self._keys.update(self._book.keys(from_slot=len(self._keys)))
            # Hosts' clocks differ a little: look back further than the last trial seen.
            since = self._seen_until - SILENCE_SECONDS
            for key, values, finished_at in self._book.complete_since(since):
                if key not in self._values:
                    self._values[key] = values
                    self._frontier.add(values)
                    self._seen_until = max(self._seen_until, finished_at)

    def tried(self, key: str) -> bool:
        """Whether a candidate was begun."""
        return key in self._keys

    def __len__(self) -> int:
        """Candidates that were begun."""
        return len(self._keys)

    def front(self) -> tuple[int, float | None]:
        """Members of the front, and its hypervolume; ``None`` where it has no corners yet."""
        with self._lock:
            corners = self._problem.corners(self._values)
            volume = None if corners is None else self._frontier.volume(corners)
            return len(self._frontier), volume

    def dominated(self, optimistic: Sequence[float]) -> str | None:
        """See :meth:`greenfront.objectives.context.TrialContext.dominated`."""
        with self._lock:
            beaten = self._frontier.dominates(optimistic)
        if not beaten:
            return None
        best = ", ".join(
            f"{objective.name} {value:.4g}"
            for objective, value in zip(self._problem.objectives, optimistic, strict=True)
        )
        return f"even its best case ({best}) is dominated by a finished trial"

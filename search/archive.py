"""The trials of all runs of a study, kept in memory by one of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from greenfront.search.problem import Problem
from greenfront.studies.analysis.volume import Frontier
from greenfront.studies.store.trials import FINISHED, Trials, TrialState

__all__ = ["Archive"]


class Archive:
    """Candidates that were begun, their states, and the values of the complete ones; thread-safe.

    Args:
        problem: The problem that is searched.
        trials: Those of the study.
    """

    def __init__(self, problem: Problem[Any], trials: Trials) -> None:
        self._problem = problem
        self._trials = trials
        self._lock = threading.Lock()
        self._keys: set[str] = set()
        self._unfinished: dict[int, TrialState] = {}
        self._counts: Counter[str] = Counter()
        self._values: dict[str, tuple[float, ...]] = {}
        self._frontier = Frontier([objective.maximise for objective in problem.objectives])

    def refresh(self) -> None:
        """Reads the trials that were begun or finished since the last call."""
        with self._lock:
            changed = self._trials.progress(len(self._keys), list(self._unfinished))
            for slot, key, state, values in changed:
                self._keys.add(key)
                if state in FINISHED:
                    self._unfinished.pop(slot, None)
                    self._counts[state] += 1
                else:
                    self._unfinished[slot] = state
                if values is not None:
                    self._values[key] = values
                    self._frontier.add(values)

    def counts(self) -> Counter[str]:
        """Number of trials by state, as of the last refresh."""
        with self._lock:
            return self._counts + Counter(self._unfinished.values())

    def tried(self, key: str) -> bool:
        """Whether a candidate was begun."""
        return key in self._keys

    def values(self, key: str) -> tuple[float, ...] | None:
        """Values of a candidate; ``None`` unless it is complete."""
        with self._lock:
            return self._values.get(key)

    def __len__(self) -> int:
        """Candidates that were begun."""
        return len(self._keys)

    def front(self) -> tuple[int, float | None]:
        """Size of the front and its hypervolume; ``None`` while it has no reference point."""
        with self._lock:
            corners = self._problem.corners(self._values)
            volume = None if corners is None else self._frontier.volume(corners)
            return len(self._frontier), volume

    def dominated(self, optimistic: Sequence[float]) -> str | None:
        """See ``TrialContext``."""
        with self._lock:
            beaten = self._frontier.dominates(optimistic)
        if not beaten:
            return None
        best = ", ".join(
            f"{objective.name} {value:.4g}"
            for objective, value in zip(self._problem.objectives, optimistic, strict=True)
        )
        return f"even its best case ({best}) is dominated by a finished trial"

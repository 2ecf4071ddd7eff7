"""The trials of all runs of a study, kept in memory by one of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from greenfront.search.problem import Problem
from greenfront.spaces.knobs import Value
from greenfront.studies.analysis.ranking.volume import Frontier
from greenfront.studies.store.trials import FINISHED, Slot, Trials

__all__ = ["DUPLICATES_BEFORE_RANDOM", "Archive"]

DUPLICATES_BEFORE_RANDOM = 3
"""Duplicates in a row after which an untried point is drawn instead."""

RANDOM_DRAWS = 2000


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
        self._slots: dict[str, Slot] = {}
        self._unfinished: dict[int, Slot] = {}
        self._counts: Counter[str] = Counter()
        self._afterwards: set[int] = set()
        self._complete: set[int] = set()
        self._values: dict[str, tuple[float, ...]] = {}
        self._frontier = Frontier(problem.maximised)

    def refresh(self) -> None:
        """Reads the trials that were begun or finished since the last call."""
        with self._lock:
            changed = self._trials.progress(len(self._slots), list(self._unfinished))
            for row in changed:
                self._slots[row.key] = row
                if row.state in FINISHED:
                    self._unfinished.pop(row.slot, None)
                    if row.afterwards:
                        self._afterwards.add(row.slot)
                    else:
                        self._counts[row.state] += 1
                else:
                    self._unfinished[row.slot] = row
                if row.values is not None:
                    self._complete.add(row.slot)
                    self._values[row.key] = row.values
                    self._frontier.add(row.values)

    def counts(self) -> Counter[str]:
        """Number of trials of the search by state, as of the last refresh."""
        with self._lock:
            return self._counts + Counter(row.state for row in self._unfinished.values())

    def slots(self) -> list[Slot]:
        """All that were begun, in the order in which they were."""
        with self._lock:
            return sorted(self._slots.values())

    def effort(self) -> float:
        """What all steps of a race so far come to, in trials; what is over counts as one.

        A rung counts by its share of the whole.
        """
        whole = self._problem.fidelities[-1]
        shares = [fidelity / whole for fidelity in self._problem.fidelities]
        return sum(
            1.0 if slot.rung is None else shares[slot.rung]
            for slot in self.slots()
            if not slot.afterwards
        )

    def complete_slots(self) -> set[int]:
        """Slots of the complete trials, as of the last refresh."""
        with self._lock:
            return set(self._complete)

    def tried(self, key: str) -> bool:
        """Whether a candidate was begun."""
        return key in self._slots

    def untried(self, random: np.random.Generator) -> dict[str, Value] | None:
        """A random point whose candidate was not begun; ``None`` if none is drawn."""
        space = self._problem.space
        for _ in range(RANDOM_DRAWS):
            point = space.sample(random)
            if not self.tried(space.decode(point).key):
                return point
        return None

    def values(self, key: str) -> tuple[float, ...] | None:
        """Values of a candidate; ``None`` unless it is complete."""
        with self._lock:
            return self._values.get(key)

    def finished(self) -> dict[str, tuple[float, ...]]:
        """Values of the complete candidates, by key."""
        with self._lock:
            return dict(self._values)

    def __len__(self) -> int:
        """Candidates that the search has begun; what was made after it is none of them."""
        return len(self._slots) - len(self._afterwards)

    def front(self) -> tuple[int, float | None]:
        """Size of the front and its hypervolume; ``None`` while it has no reference point."""
        with self._lock:
            corners = self._problem.corners(self._values)
            volume = None if corners is None else self._frontier.volume(corners)
            return len(self._frontier), volume

    def told(self, values: Sequence[float]) -> tuple[float, ...]:
        """See :meth:`Problem.told`."""
        with self._lock:
            return self._problem.told(tuple(values), self._values)

    def dominated(self, optimistic: Sequence[float]) -> str | None:
        """See ``TrialContext``."""
        with self._lock:
            beaten = self._frontier.dominates(optimistic)
        if not beaten:
            return None
        best = self._problem.in_words(optimistic)
        return f"even its best case ({best}) is dominated by a finished trial"

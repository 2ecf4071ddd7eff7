"""Ends a search when what is still to be gained is worth less than it costs."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from greenfront.search.search_context import SearchContext
from greenfront.studies.analysis.ranking.volume import Corners, Frontier
from greenfront.studies.store.trials import FINISHED

__all__ = ["StopRule", "expected_price"]

LOOKED_EVERY = 0.02
"""Share of the trials after which it is looked again: what the past says changes slowly."""


def expected_price(
    values: Sequence[Sequence[float]], maximise: Sequence[bool], corners: Corners, kwh: float
) -> float:
    """Hypervolume that the next kWh is expected to add, from what the last ones have.

    The n-th of n exchangeable trials is a record with probability ``1 / n`` (Rényi, "Théorie des
    éléments saillants d'une suite d'observations", 1962): gains add up like ``c · ln n``. From what
    the second half of the trials has gained, ``c · ln 2``, the next one is expected to gain
    ``c / n``; it costs what they did on average. A sampler that learns does better for a while, so
    the estimate is for samplers that do not tell a price themselves.

    Args:
        values: Of complete trials, in the order in which they finished; at least two.
        maximise: For each objective, whether more is better.
        corners: The box of the hypervolume.
        kwh: Energy of all of these trials.

    Returns:
        In shares of the box a kWh; infinite where they have cost nothing.
    """
    frontier, volumes = Frontier(list(maximise)), [0.0, 0.0]
    half = len(values) // 2
    for number, vector in enumerate(values, start=1):
        frontier.add(vector)
        if number == half:
            volumes[0] = frontier.volume(corners)
    volumes[1] = frontier.volume(corners)
    gain = (volumes[1] - volumes[0]) / (math.log(2) * len(values))
    return gain * len(values) / kwh if kwh > 0 else math.inf


class Priced(Protocol):
    """A sampler that knows what it hopes for.

    Attributes:
        price: Hypervolume a kWh that its latest decision is expected to gain; ``None``: not told.
    """

    price: float | None


class StopRule:
    """Asks a problem whether a price is still worth paying; thread-safe.

    Args:
        context: The search, whose problem says so, and from which number of trials on it wants to
            be asked.
        sampler: That tells a price itself, if there is one.
    """

    def __init__(self, context: SearchContext[Any], sampler: Callable[[], Priced | None]) -> None:
        self._context = context
        self._sampler = sampler
        self._lock = threading.Lock()
        self._looked_at = 0
        self._reason: str | None = None

    def reached(self) -> str | None:
        """Why the search should end, in words; ``None`` while it should not."""
        problem, archive = self._context.problem, self._context.archive
        least = problem.trials_before_stopping
        if least is None:
            return None
        with self._lock:
            counts = archive.counts()
            count = sum(counts[state] for state in FINISHED)
            if self._reason is not None or count < least:
                return self._reason  # that other workers end, too
            if count < self._looked_at * (1 + LOOKED_EVERY):
                return None
            finished = archive.finished()
            corners = problem.corners(finished)
            if corners is None or len(finished) < 2:
                return None
            sampler = self._sampler()
            price = None if sampler is None else sampler.price
            if price is None:
                self._looked_at = count
                kwh = self._context.study.ledger.total().kwh
                price = expected_price(list(finished.values()), problem.maximised, corners, kwh)
            self._reason = problem.too_dear(price, corners)
            return self._reason

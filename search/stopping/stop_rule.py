"""Ends a search when what is still to be gained is worth less than it costs."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

from greenfront.search.search_context import SearchContext
from greenfront.studies.analysis.ranking.volume import Corners, Frontier
from greenfront.studies.store.trials import FINISHED, TrialState

__all__ = ["StopRule", "expected_price"]

LOOKED_EVERY = 0.02
"""Share of the trials after which it is looked again: what the past says changes slowly."""

TRIED: tuple[TrialState, ...] = (*FINISHED, "paused", "dropped")
"""Something was learnt of it: most candidates of a race are given up at a rung, unfinished."""


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


class StopRule:
    """Asks a problem whether a price is still worth paying; thread-safe.

    A sampler that tells a price with each step has every one judged before it is taken: to go on
    until the best of them is not worth its price is optimal (Weitzman, "Optimal search for the best
    alternative", 1979). For the others the past tells it, as :func:`expected_price` does.

    Args:
        context: The search, whose problem says so, and from how many tried candidates on it wants
            to be asked.
        told: Whether the sampler tells prices.
    """

    def __init__(self, context: SearchContext[Any], *, told: bool) -> None:
        self._context = context
        self._told = told
        self._lock = threading.Lock()
        self._looked_at = 0
        self._reason: str | None = None

    def reached(self) -> str | None:
        """Why the search should end, in words; ``None`` while it should not."""
        with self._lock:
            if not self._told and self._is_due():
                self._judge(None)
            return self._reason  # that other workers end, too

    def refuses(self, price: float) -> bool:
        """Whether the search should end rather than take a step.

        Args:
            price: Hypervolume a kWh that the step is expected to gain.
        """
        with self._lock:
            if self._is_due():
                self._judge(price)
            return self._reason is not None

    def _is_due(self) -> bool:
        least = self._context.problem.trials_before_stopping
        if least is None or self._reason is not None:
            return False
        return self._tried() >= max(least, self._looked_at * (1 + LOOKED_EVERY))

    def _tried(self) -> int:
        counts = self._context.archive.counts()
        return sum(counts[state] for state in TRIED)

    def _judge(self, price: float | None) -> None:
        """Asks the problem about a price; one that is not told is estimated."""
        problem, finished = self._context.problem, self._context.archive.finished()
        corners = problem.corners(finished)
        if corners is None or (price is None and len(finished) < 2):
            return
        if price is None:
            self._looked_at = self._tried()
            kwh = self._context.study.ledger.total().kwh
            price = expected_price(list(finished.values()), problem.maximised, corners, kwh)
        self._reason = problem.too_dear(price, corners)

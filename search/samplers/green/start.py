"""The first trainings: spread starts, then successive halving, so that every rung is seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from greenfront.objectives.pareto import ranks
from greenfront.search.samplers.green.beliefs import Prospect
from greenfront.search.samplers.green.pool import Pool
from greenfront.search.samplers.green.state import RungState, Terrain

__all__ = ["STARTS", "foremost", "next_promotion", "spread_start"]

STARTS = 16
"""Candidates that are begun before any model."""
SPREAD = 20
"""Random draws from which a start is taken: the farthest from those before, of a few only, so
that starts do not all lie in the corners."""
HALVING = 4
"""One in so many goes on at each rung."""


def spread_start(pool: Pool, states: Sequence[RungState]) -> Prospect | None:
    """A new candidate far from those that were begun; ``None`` where the space is tried out."""
    drawn = [prospect for _ in range(SPREAD) if (prospect := pool.draw()) is not None]
    if not drawn or not states:
        return drawn[0] if drawn else None
    x = np.array([prospect.x for prospect in drawn])
    begun = np.array([state.description for state in states])
    distances = ((x[:, None] - begun[None]) ** 2).sum(axis=2).min(axis=1)
    return drawn[int(distances.argmax())]


def next_promotion(terrain: Terrain, states: Sequence[RungState]) -> RungState | None:
    """Who goes on, until each rung was reached by its share of the starts; ``None``: enough did.

    Successive halving on the non-dominated rank of loss and energy. Source: Schmucker et al.,
    "Multi-objective asynchronous successive halving", 2021.
    """
    living = [state for state in states if state.status != "failed"]
    for rung in range(1, terrain.rungs):
        wanted = max(1, STARTS // HALVING**rung)
        reached = (s for s in living if max(s.rung, s.running_rung or 0) >= rung)
        if len(list(islice(reached, wanted))) == wanted:  # in a long search soon found
            continue
        waiting = [s for s in living if s.status == "paused" and s.rung == rung - 1]
        if waiting:
            return waiting[_best(waiting)]
    return None


def foremost(states: Sequence[RungState]) -> RungState | None:
    """The best of those that have come farthest without being complete; ``None`` if none waits."""
    paused = [state for state in states if state.status == "paused" and state.losses]
    highest = max((state.rung for state in paused), default=-1)
    waiting = [state for state in paused if state.rung == highest]
    return waiting[_best(waiting)] if waiting else None


def _best(waiting: Sequence[RungState]) -> int:
    values = np.array([[state.losses[-1], sum(state.kwh)] for state in waiting])
    front = np.flatnonzero(ranks(values) == 0)
    if len(front) == 1:
        return int(front[0])
    # Neither end of the front, but what is good in both.
    scaled = (values - values.min(axis=0)) / np.maximum(np.ptp(values, axis=0), 1e-300)
    return int(front[(scaled[front] ** 2).sum(axis=1).argmin()])

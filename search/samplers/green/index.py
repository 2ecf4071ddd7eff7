"""What a training is worth: the highest price of a kWh at which going on with it still pays.

A candidate is a box that is opened in steps, one a rung: each costs energy and shows more of the
final loss, and after each one may stop. Its *index* is the largest price λ of a kWh at which the
best policy (go on, or stop) breaks even. To open the box of the highest index next is optimal for
independent boxes of which one prize is kept.

Sources: Weitzman, "Optimal search for the best alternative", 1979 (boxes opened at once);
Gittins, "Bandit processes and dynamic allocation indices", 1979 (boxes opened in steps).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["NODES", "index", "two_stage_index"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

NODES: Array = np.linspace(-4.5, 4.5, 41)
"""Nodes of the final value, in posterior standard deviations from its mean."""

BISECTIONS = 12
WIDEST = 1e-7
"""The lowest price looked at, as a share of the highest possible."""


def _gauss(order: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(order)
    return nodes, weights / weights.sum()


def index(prizes: Array, revealed: Array, costs: Array, done: Indices) -> Array:
    """The index of each candidate, by dynamic programming and bisection of the price.

    Args:
        prizes: Prize ``[n, len(NODES)]`` where the final value is at a node.
        revealed: Share of the final value's present variance that is known after each rung,
            ``[n, rungs]``, ascending; the last is 1.
        costs: Energy of each rung that is still to come ``[n, rungs]``, in kWh; others are ignored.
        done: The last finished rung ``[n]``; -1 for none.

    Returns:
        Prize a kWh ``[n]``; 0 where there is nothing to win.
    """
    rungs = costs.shape[1]
    moves = _moves(revealed, done)
    ahead = np.arange(rungs)[None] > done[:, None]
    cheapest = np.where(ahead & (costs > 0), costs, np.inf).min(axis=1)
    high = prizes.max(axis=1) / np.where(np.isfinite(cheapest), cheapest, 1.0)
    hopeless = high <= 0
    high = np.where(hopeless, 1.0, high)
    low = high * WIDEST
    middle = NODES.size // 2
    for _ in range(BISECTIONS):
        price = np.sqrt(low * high)
        value = prizes
        for rung in range(rungs - 1, -1, -1):
            on = np.matmul(moves[rung], value[:, :, None])[:, :, 0]
            on = on - (price * costs[:, rung])[:, None]
            first = (done == rung - 1)[:, None]
            value = np.where(ahead[:, [rung]], np.where(first, on, np.maximum(on, 0)), value)
        pays = value[:, middle] > 0
        low, high = np.where(pays, price, low), np.where(pays, high, price)
    return np.where(hopeless, 0.0, np.sqrt(low * high))


def _moves(revealed: Array, done: Indices) -> list[Array]:
    """For each rung how its result moves the mean: ``[n, nodes, nodes]``, rows summing to 1.

    Exact for values that are linear between nodes and constant beyond them: the weight of a node
    is the expectation of its hat function, a difference of expectations of ``max(X - k, 0)``.
    """
    n, rungs = revealed.shape
    size, step = NODES.size, float(NODES[1] - NODES[0])
    offsets: Array = np.arange(-size, size + 1, dtype=np.float64) * step
    towards = np.arange(size)[None] - np.arange(size)[:, None] + size
    known, moves = np.zeros(n), []
    for rung in range(rungs):
        upto = np.where(done < rung, np.clip(revealed[:, rung], known, 1.0), 0.0)
        above = _expected_excess(np.sqrt(np.maximum(upto - known, 0.0)), offsets)
        known = np.maximum(upto, known)
        slope = (above[:, :-1] - above[:, 1:]) / step  # share of the mass beyond, smoothed
        hats = np.zeros_like(above)
        hats[:, 1:-1] = slope[:, :-1] - slope[:, 1:]
        move = hats[:, towards]
        move[:, :, 0] = 1 - slope[:, towards[:, 0]]
        move[:, :, -1] = slope[:, towards[:, -1] - 1]
        moves.append(move)
    return moves


def _expected_excess(deviation: Array, bounds: Array) -> Array:
    """Expectation of ``max(X - bound, 0)`` for normal X of mean 0: ``[n, bounds]``."""
    scale = np.maximum(deviation, 1e-9)[:, None]
    q = bounds[None] / scale
    excess: Array = scale * np.exp(-0.5 * q * q) / np.sqrt(2 * np.pi) - bounds * _above(q)
    return excess


def _above(q: Array) -> Array:
    """Probability that a standard normal number is greater."""
    far = (q * 0.5**0.5).ravel().tolist()
    return np.array([0.5 * math.erfc(each) for each in far]).reshape(q.shape)


def two_stage_index(prizes: Array, revealed: Array, step: Array, rest: Array) -> Array:
    """A quick lower bound of the index: train one rung, then all the way or not at all.

    Args:
        prizes: Prize ``[n, len(NODES)]`` where the final value is at a node.
        revealed: Share of the final value's variance that the next rung shows ``[n]``.
        step: Energy of the next rung ``[n]``, in kWh.
        rest: Energy from there to the whole training ``[n]``, in kWh.
    """
    nodes, weights = _gauss(9)
    inner, inner_weights = _gauss(5)
    shown = np.sqrt(revealed)[:, None, None] * nodes[None, :, None]
    place = shown + np.sqrt(np.maximum(1 - revealed, 0))[:, None, None] * inner
    place = (place - NODES[0]) / (NODES[1] - NODES[0])
    place = np.clip(place, 0.0, NODES.size - 1 - 1e-9)
    left = place.astype(np.int64)
    share = place - left
    flat, base = prizes.ravel(), (np.arange(len(prizes)) * NODES.size)[:, None, None]
    prize = flat[base + left] * (1 - share) + flat[base + left + 1] * share
    expected = prize @ inner_weights
    # The best results first: going on with the best share of them, whichever share pays most.
    order = np.argsort(-expected, axis=1)
    sorted_weights = weights[order]
    won = np.cumsum(sorted_weights * np.take_along_axis(expected, order, axis=1), axis=1)
    gone_on = np.cumsum(sorted_weights, axis=1)
    best: Array = (won / np.maximum(step[:, None] + rest[:, None] * gone_on, 1e-300)).max(axis=1)
    return best

"""The index against the same problem solved by brute force, without grid or interpolation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq

from greenfront.search.samplers.green.index import NODES, index, two_stage_index


def brute_force(prize: np.ndarray, revealed: np.ndarray, costs: np.ndarray, done: int) -> float:
    """The price at which the best policy breaks even: every outcome of every rung is followed."""
    known = [0.0, *revealed[done + 1 :]]
    moves = [float(np.sqrt(after - before)) for before, after in pairwise(known)]
    ahead = costs[done + 1 :]
    nodes, weights = np.polynomial.hermite_e.hermegauss(41 if len(moves) < 4 else 25)
    weights = weights / weights.sum()
    mean = np.zeros(())
    for move in moves:
        mean = mean[..., None] + move * nodes  # one axis a rung
    won = np.interp(mean, NODES, prize)

    def value(price: float) -> float:
        best = won
        for step in range(len(moves) - 1, -1, -1):
            best = best @ weights - price * ahead[step]
            best = np.maximum(best, 0.0) if step else best
        return float(best)

    high = prize.max() / ahead.min()
    return float(brentq(value, high * 1e-9, high * 2, rtol=1e-4))


def problem(seed: int, rungs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    prize = np.maximum(rng.uniform(-1, 1.5) - NODES, 0) * rng.uniform(0.1, 10)
    revealed = np.sort(rng.uniform(0.05, 0.95, rungs))
    revealed[-1] = 1.0
    return prize, revealed, rng.uniform(0.05, 1, rungs) * 3.0 ** np.arange(rungs)


@pytest.mark.parametrize("rungs", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_index_is_that_of_the_best_policy(seed: int, rungs: int) -> None:
    prize, revealed, costs = problem(seed, rungs)
    for done in range(-1, rungs - 1):
        found = index(prize[None], revealed[None], costs[None], np.array([done]))
        assert found[0] == pytest.approx(brute_force(prize, revealed, costs, done), rel=0.06)


def test_a_single_rung_pays_its_expected_prize() -> None:
    prize = np.exp(-NODES / 3)
    found = index(prize[None], np.ones((1, 1)), np.full((1, 1), 4.0), np.array([-1]))
    assert found[0] == pytest.approx(np.exp(1 / 18) / 4, rel=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_the_quick_index_is_close_and_orders_alike(seed: int) -> None:
    problems = [problem(100 * seed + n, 4) for n in range(12)]
    prize, revealed, costs = (np.array(column) for column in zip(*problems, strict=True))
    full = index(prize, revealed, costs, np.full(12, -1))
    quick = two_stage_index(prize, revealed[:, 0], costs[:, 0], costs[:, 1:].sum(axis=1))
    assert (quick <= full * 1.05).all()
    assert np.corrcoef(np.argsort(np.argsort(full)), np.argsort(np.argsort(quick)))[0, 1] > 0.8


def test_candidates_do_not_influence_each_other() -> None:
    problems = [problem(n, 3) for n in range(5)]
    prize, revealed, costs = (np.array(column) for column in zip(*problems, strict=True))
    done = np.array([-1, 0, 1, -1, 0])
    together = index(prize, revealed, costs, done)
    alone = [
        index(prize[[n]], revealed[[n]], costs[[n]], done[[n]])[0] for n in range(len(problems))
    ]
    assert together == pytest.approx(np.array(alone))


def test_nothing_to_win_is_worth_nothing() -> None:
    found = index(np.zeros((1, NODES.size)), np.ones((1, 2)), np.ones((1, 2)), np.array([-1]))
    assert found[0] == 0


def test_an_early_look_is_worth_more_than_none() -> None:
    """Seeing much for little lets one stop in time."""
    prize = np.maximum(-1.5 - NODES, 0)[None].repeat(2, axis=0)
    revealed = np.array([[0.01, 1.0], [0.9, 1.0]])
    blind, seeing = index(prize, revealed, np.array([[0.1, 5.0]] * 2), np.array([-1, -1]))
    assert seeing > 2 * blind

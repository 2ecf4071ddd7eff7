"""The process over (candidate, rung): its gradient, its posterior, what it makes of bad rungs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from greenfront.search.samplers.green.model import (
    Observations,
    Prior,
    condition,
    fit,
    negative_log_posterior,
)


def observations(seed: int, candidates: int = 9, rungs: int = 3, features: int = 2) -> Observations:
    rng = np.random.default_rng(seed)
    x = rng.random((candidates, features))
    candidate = np.repeat(np.arange(candidates), rungs)
    rung = np.tile(np.arange(rungs), candidates)
    kept = rung <= rng.integers(rungs, size=candidates)[candidate]
    z = np.sin(3 * x[:, 0])[candidate] - 0.4 * rung + 0.1 * rng.standard_normal(len(rung))
    return Observations(x, x, candidate[kept], rung[kept], z[kept])


@pytest.mark.parametrize(("seed", "rungs"), [(0, 3), (1, 4), (2, 1)])
def test_gradient_equals_differences(seed: int, rungs: int) -> None:
    seen, prior = observations(seed, rungs=rungs), Prior.of(2, rungs)
    theta = prior.mean + np.random.default_rng(seed).normal(0, 0.5, prior.mean.size)
    _, gradient = negative_log_posterior(theta, seen, prior)
    differences = approx_fprime(
        theta, lambda point: negative_log_posterior(point, seen, prior)[0], 1e-6
    )
    assert gradient == pytest.approx(differences, rel=2e-4, abs=2e-4)


def test_fit_is_more_probable_than_the_prior() -> None:
    seen, prior = observations(3), Prior.of(2, 3)
    fitted, _ = negative_log_posterior(fit(seen, prior), seen, prior)
    assert fitted < negative_log_posterior(prior.mean, seen, prior)[0]


def test_a_fit_from_a_part_of_the_data_gets_as_far_with_fewer_steps() -> None:
    seen, prior = observations(3, candidates=20), Prior.of(2, 3)
    early = fit(observations(3), prior)
    found = [
        negative_log_posterior(fit(seen, prior, start), seen, prior)[0] for start in (None, early)
    ]
    assert found[1] == pytest.approx(found[0], abs=0.5)


def test_posterior_equals_the_textbook() -> None:
    """Joint covariance by hand, inverted: Rasmussen and Williams, equations 2.25 and 2.26."""
    seen, prior = observations(4, candidates=5), Prior.of(2, 3)
    posterior = condition(seen, prior, prior.mean)
    new = np.array([[0.3, 0.8]])
    mean, covariance = posterior.predict(new, new, [0, 1, 2])

    def kernel(a: np.ndarray, r: int, b: np.ndarray, t: int) -> float:
        d = float(np.sqrt((((a - b) / posterior.lengths) ** 2).sum()))
        matern = (1 + 5**0.5 * d + 5 / 3 * d * d) * np.exp(-(5**0.5) * d)
        linear = 0.5 * (a - seen.centre) @ (b - seen.centre) / seen.spread
        near = np.exp(-((a - b) ** 2).sum() / (2 * 0.07**2))
        shared = (1 - posterior.own) * (matern + linear) * posterior.f_across[r, t]
        return float(shared + posterior.own * near * posterior.g_across[r, t]) + 9 + min(r, t)

    rows = [(seen.x[c], int(r)) for c, r in zip(seen.candidate, seen.rung, strict=True)]
    k = np.array([[kernel(*one, *other) for other in rows] for one in rows])
    k += np.diag(posterior.noise[seen.rung])
    across = np.array([[kernel(new[0], r, *other) for other in rows] for r in range(3)])
    before = np.array([[kernel(new[0], r, new[0], t) for t in range(3)] for r in range(3)])
    after = before - across @ np.linalg.solve(k, across.T)
    assert mean[0] == pytest.approx(across @ np.linalg.solve(k, seen.z), abs=1e-6)
    assert covariance[0] == pytest.approx(after, abs=1e-6)
    assert posterior.mean(new, new, [2, 0])[0] == pytest.approx(mean[0, [2, 0]], abs=1e-9)


def test_a_rung_that_misleads_is_trusted_less() -> None:
    """With a first rung of pure noise the last rung is believed to be told by itself alone."""
    rng = np.random.default_rng(5)
    x = rng.random((24, 1))
    candidate, rung = np.repeat(np.arange(24), 2), np.tile([0, 1], 24)

    def told(first: np.ndarray) -> float:
        z = np.where(rung == 0, first[candidate], np.sin(6 * x[candidate, 0]))
        seen = Observations(x, x, candidate, rung, z)
        posterior = condition(seen, Prior.of(1, 2), fit(seen, Prior.of(1, 2)))
        _, c = posterior.predict(np.array([[2.0]]), np.array([[2.0]]), [0, 1])
        return float(c[0, 0, 1] ** 2 / (c[0, 0, 0] + posterior.noise[0]) / c[0, 1, 1])

    honest, noise = told(np.sin(6 * x[:, 0])), told(rng.standard_normal(24))
    assert noise < 0.75 * honest

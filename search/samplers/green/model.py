"""A Gaussian process over (candidate, rung): how one quantity grows with training.

    z[i, r] = β_r + s_r (√(1-w) f(x_i, r) + √w g(u_i, r)) + noise_r

``f`` is shared by candidates whose descriptions ``x`` are alike: a Matérn 5/2 kernel with one
length a feature, and half a linear kernel, so that a trend is continued and not forgotten. ``g`` is
what the description leaves open and only near-identical settings ``u`` share. Both lose a learnt
factor of correlation at each gap between rungs: a rung that misleads gets a low factor and a high
noise, and what it says counts for less. ``β`` walks at random over the rungs from a vague start.

Sources: Kennedy and O'Hagan, "Predicting the output from a complex computer code when fast
approximations are available", 2000 (rungs); Rasmussen and Williams, "Gaussian Processes for
Machine Learning", 2006, chapters 2 and 5 (posterior, gradient of the evidence).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from greenfront.search.samplers.green.descent import descend

__all__ = ["Observations", "Posterior", "Prior", "condition", "fit", "negative_log_posterior"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

SQRT5 = 5**0.5
LINEAR = 0.5
"""Weight of the linear kernel beside the Matérn kernel."""
NEAR = 0.07
"""Distance at which settings stop to count as near-identical, in ranges of a knob."""
VAGUE, WALK = 3.0, 1.0
"""Standard deviations of β at the lowest rung and of its steps, in units of the data's own."""
JITTER = 1e-6
SMALL = 64
"""Triangles up to this size are inverted at once."""
MOST_ITERATIONS, FURTHER_ITERATIONS = 25, 8
BOUND = 4.0
"""Hyperparameters stay within so many standard deviations of their prior."""


@dataclass(frozen=True)
class Prior:
    """Normal prior of the hyperparameters, most of them logarithms or logits.

    In this order: log lengths ``[features]``, log scales ``[rungs]``, logit of w, log noises
    ``[rungs]``, logits of f's factors and of g's factors (``[rungs - 1]`` each).

    Attributes:
        features: Numbers of a description.
        rungs: Number of rungs.
        mean: Of each hyperparameter.
        sd: Of each hyperparameter.
    """

    features: int
    rungs: int
    mean: Array
    sd: Array

    @classmethod
    def of(cls, features: int, rungs: int, *, noise: float = 0.15, own: float = -1.0) -> Prior:
        """The prior for standardised data.

        Args:
            features: Numbers of a description.
            rungs: Number of rungs.
            noise: Median standard deviation of the noise at a rung.
            own: Logit of w: the share of the variance that a description does not explain.
        """
        gaps, length = rungs - 1, np.log(0.6 * np.sqrt(max(features, 1)))
        blocks = (
            (features, length, 0.8),
            (rungs, 0.0, 0.4),
            (1, own, 1.0),
            (rungs, np.log(noise), 0.6),
            (gaps, 2.0, 1.0),
            (gaps, 1.0, 1.0),
        )
        mean, sd = (
            np.concatenate([np.full(block[0], block[part]) for block in blocks]) for part in (1, 2)
        )
        return cls(features, rungs, mean, sd)

    def split(self, theta: Array) -> tuple[Array, Array, float, Array, Array, Array]:
        """Log lengths, log scales, logit of w, log noises, logits of both kinds of factors."""
        d, r = self.features, self.rungs
        o = d + 2 * r + 1
        return (
            theta[:d],
            theta[d : d + r],
            float(theta[d + r]),
            theta[d + r + 1 : o],
            theta[o : o + r - 1],
            theta[o + r - 1 :],
        )


@dataclass(frozen=True)
class Observations:
    """What was seen: value ``z[k]`` of candidate ``candidate[k]`` at rung ``rung[k]``.

    Attributes:
        x: Descriptions ``[candidates, features]``.
        u: Settings in unit range ``[candidates, knobs]``: what is near-identical is told by them.
        candidate: Row of ``x`` for each observation.
        rung: Rung of each observation.
        z: Standardised values: mean near 0 at the lowest rung, deviation near 1.
    """

    x: Array
    u: Array
    candidate: Indices
    rung: Indices
    z: Array
    centre: Array = field(init=False)
    spread: float = field(init=False)
    linear: Array = field(init=False)
    near: Array = field(init=False)

    def __post_init__(self) -> None:
        centre = self.x.mean(axis=0)
        deviation = self.x - centre
        spread = float((deviation**2).sum(axis=1).mean()) or 1.0
        near = _near(self.u, self.u)
        near[np.diag_indices(len(near))] = 1.0
        for name, value in {
            "centre": centre,
            "spread": spread,
            "linear": LINEAR * deviation @ deviation.T / spread,
            "near": near,
        }.items():
            object.__setattr__(self, name, value)


def _squared_distances(a: Array, b: Array) -> Array:
    distances: Array = np.maximum(
        (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T, 0.0
    )
    return distances


def _near(a: Array, b: Array) -> Array:
    near: Array = np.exp(-_squared_distances(a, b) / (2 * NEAR**2))
    return near


def _sigmoid(x: Array | float) -> Array:
    value: Array = 1 / (1 + np.exp(-np.asarray(x, dtype=np.float64)))
    return value


def _matern(squared: Array) -> Array:
    d = np.sqrt(np.maximum(squared, 1e-12))
    kernel: Array = (1 + SQRT5 * d + 5 / 3 * squared) * np.exp(-SQRT5 * d)
    return kernel


def _across(logits: Array) -> Array:
    """Correlation between rungs ``[rungs, rungs]``: the product of the factors between them."""
    logs = np.concatenate([[0.0], np.cumsum(-np.log1p(np.exp(-logits)))])
    across: Array = np.exp(-np.abs(logs[:, None] - logs[None]))
    return across


def _inverse_of_lower(lower: NDArray[np.floating]) -> Array:
    """The inverse of a lower triangle, by halves."""
    size = len(lower)
    if size <= SMALL:
        return np.linalg.inv(lower).astype(np.float64, copy=False)
    half, whole = size // 2, np.zeros((size, size))
    whole[:half, :half] = first = _inverse_of_lower(lower[:half, :half])
    whole[half:, half:] = second = _inverse_of_lower(lower[half:, half:])
    whole[half:, :half] = -second @ (lower[half:, :half] @ first)
    return whole


def _walk(rungs: int) -> Array:
    """Covariance of β ``[rungs, rungs]``."""
    steps = np.arange(rungs)
    walk: Array = VAGUE**2 + np.minimum.outer(steps, steps) * WALK**2
    return walk


def negative_log_posterior(theta: Array, seen: Observations, prior: Prior) -> tuple[float, Array]:
    """Minus the log posterior of the hyperparameters, but for a constant, and its gradient."""
    lengths, scales, w_logit, noises, f_logits, g_logits = prior.split(theta)
    rung, who, n = seen.rung, seen.candidate, len(seen.z)
    w = float(_sigmoid(w_logit))
    grid, pair = np.ix_(rung, rung), np.ix_(who, who)
    y = (seen.x * np.exp(-lengths))[who]
    squared = _squared_distances(y, y)
    d = np.sqrt(np.maximum(squared, 1e-12))
    decay = np.exp(-SQRT5 * d)
    own_scale = np.exp(scales)[rung]
    both = np.outer(own_scale, own_scale)
    kf = both * _across(f_logits)[grid] * (1 - w)
    kg = both * _across(g_logits)[grid] * w * seen.near[pair]
    f = kf * ((1 + SQRT5 * d + 5 / 3 * squared) * decay + seen.linear[pair])
    noise = np.exp(2 * noises)[rung]
    k = f + kg + _walk(prior.rungs)[grid]
    k[np.diag_indices(n)] += noise + JITTER
    try:
        lower = np.linalg.cholesky(k)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(theta)
    root = _inverse_of_lower(lower)
    inverse = root.T @ root
    alpha = inverse @ seen.z
    off = (theta - prior.mean) / prior.sd
    value = 0.5 * seen.z @ alpha + np.log(np.diag(lower)).sum() + 0.5 * off @ off
    g = 0.5 * (inverse - np.outer(alpha, alpha))
    q = g * kf * (5 / 3) * (1 + SQRT5 * d) * decay
    by_length = 2 * (q.sum(axis=1) @ (y * y)) - 2 * (y * (q @ y)).sum(axis=0)
    gf, gg = g * f, g * kg
    at = np.zeros((n, prior.rungs))
    at[np.arange(n), rung] = 1.0
    bf, bg = at.T @ gf @ at, at.T @ gg @ at
    gradient = np.concatenate(
        [
            by_length,
            2 * (bf + bg).sum(axis=1),
            [-w * bf.sum() + (1 - w) * bg.sum()],
            2 * (np.diag(g) * noise) @ at,
            _by_factor(bf, f_logits),
            _by_factor(bg, g_logits),
        ]
    )
    return float(value), gradient + off / prior.sd


def _by_factor(sums: Array, logits: Array) -> Array:
    """Gradient by the logits of the factors: each acts on the pairs of rungs that it parts."""
    steps = np.arange(len(sums))
    low, high = np.minimum.outer(steps, steps), np.maximum.outer(steps, steps)
    parted = [sums[(low <= gap) & (high > gap)].sum() for gap in range(len(logits))]
    gradient: Array = (1 - _sigmoid(logits)) * np.array(parted, dtype=np.float64)
    return gradient


def fit(seen: Observations, prior: Prior, start: Array | None = None) -> Array:
    """The most probable hyperparameters: few iterations of L-BFGS.

    Args:
        seen: What was seen.
        prior: Of the hyperparameters.
        start: Where it begins: those found from a part of it, for which fewer iterations do;
            ``None``: the prior's mean.
    """
    reach = BOUND * prior.sd
    return descend(
        lambda theta: negative_log_posterior(theta, seen, prior),
        prior.mean if start is None else start,
        prior.mean - reach,
        prior.mean + reach,
        MOST_ITERATIONS if start is None else FURTHER_ITERATIONS,
    )


@dataclass(frozen=True)
class Posterior:
    """The process given what was seen and its hyperparameters; made by :func:`condition`."""

    seen: Observations
    prior: Prior
    lengths: Array
    scales: Array
    own: float
    noise: Array
    f_across: Array
    g_across: Array
    root: Array
    f_weights: Array
    g_weights: Array
    level: Array

    def mean(self, x: Array, u: Array, rungs: Sequence[int]) -> Array:
        """Mean ``[n, len(rungs)]`` of candidates; see :meth:`predict`."""
        return self._mean(self._kernel(x), _near(u, self.seen.u), list(rungs))

    def _kernel(self, x: Array) -> Array:
        """Of descriptions with those of the candidates that were seen ``[n, candidates]``."""
        seen = self.seen
        kernel = _matern(_squared_distances(x / self.lengths, seen.x / self.lengths))
        kernel += LINEAR * (x - seen.centre) @ (seen.x - seen.centre).T / seen.spread
        return kernel

    def _mean(self, kernel: Array, near: Array, rungs: list[int]) -> Array:
        own = (1 - self.own) * (kernel @ self.f_weights[:, rungs])
        own += self.own * (near @ self.g_weights[:, rungs])
        mean: Array = own * self.scales[rungs] + self.level[rungs]
        return mean

    def predict(self, x: Array, u: Array, rungs: Sequence[int]) -> tuple[Array, Array]:
        """Mean and covariance of candidates without noise.

        Args:
            x: Descriptions ``[n, features]``.
            u: Settings in unit range ``[n, knobs]``.
            rungs: Where they are wanted.

        Returns:
            Mean ``[n, len(rungs)]`` and covariance ``[n, len(rungs), len(rungs)]``.
        """
        seen, at = self.seen, self.seen.rung
        by_candidate, near_candidate = self._kernel(x), _near(u, seen.u)
        mean = self._mean(by_candidate, near_candidate, list(rungs))
        kernel, near = by_candidate[:, seen.candidate], near_candidate[:, seen.candidate]
        itself = 1 + LINEAR * ((x - seen.centre) ** 2).sum(axis=1) / seen.spread
        walk, w = _walk(self.prior.rungs), self.own
        halves = {}
        for r in rungs:
            ks = self.scales[at] * self.scales[r]
            k = kernel * (ks * self.f_across[r, at] * (1 - w))
            k += near * (ks * self.g_across[r, at] * w)
            k += walk[r, at]
            halves[r] = self.root @ k.T
        covariance = np.empty((len(x), len(rungs), len(rungs)))
        for p, r in enumerate(rungs):
            for q, t in enumerate(rungs[: p + 1]):
                before = (
                    self.scales[r]
                    * self.scales[t]
                    * ((1 - w) * self.f_across[r, t] * itself + w * self.g_across[r, t])
                    + walk[r, t]
                )
                explained = np.einsum("ij,ij->j", halves[r], halves[t])
                covariance[:, p, q] = covariance[:, q, p] = before - explained
        return mean, covariance


def condition(seen: Observations, prior: Prior, theta: Array) -> Posterior:
    """The posterior process under given hyperparameters."""
    lengths, scales, w_logit, noises, f_logits, g_logits = prior.split(theta)
    w, length, scale = float(_sigmoid(w_logit)), np.exp(lengths), np.exp(scales)
    noise = np.exp(2 * noises) + JITTER
    f_across, g_across = _across(f_logits), _across(g_logits)
    y = seen.x / length
    kernel = _matern(_squared_distances(y, y)) + seen.linear
    grid, pair = np.ix_(seen.rung, seen.rung), np.ix_(seen.candidate, seen.candidate)
    both = np.outer(scale[seen.rung], scale[seen.rung])
    k = both * ((1 - w) * kernel[pair] * f_across[grid] + w * seen.near[pair] * g_across[grid])
    k += _walk(prior.rungs)[grid]
    k[np.diag_indices_from(k)] += noise[seen.rung]
    root = _inverse_of_lower(np.linalg.cholesky(k))
    alpha = root.T @ (root @ seen.z)
    # Means need the observations of each candidate only in sum.
    weights = scale[seen.rung] * alpha
    at = np.zeros((len(seen.x), len(seen.z)))
    at[seen.candidate, np.arange(len(seen.z))] = weights
    return Posterior(
        seen,
        prior,
        length,
        scale,
        w,
        noise,
        f_across,
        g_across,
        root,
        f_weights=at @ f_across[seen.rung],
        g_weights=at @ g_across[seen.rung],
        level=_walk(prior.rungs)[:, seen.rung] @ alpha,
    )

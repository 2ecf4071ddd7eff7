"""How one measured quantity grows over the rungs, in its own units: scales around the model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from greenfront.search.samplers.green.model import (
    Observations,
    Posterior,
    Prior,
    condition,
    fit,
)

__all__ = ["Curves", "Scale", "Series", "learn"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

GROWTH, GROWTH_LATER = 1.12, 1.4
"""Hyperparameters are fitted anew when there are so many times more observations: of few ones,
and of more than are looked at."""
FIRST_FIT = 8
MOST_FITTED, MOST_CONDITIONED = 250, 400
"""Observations that hyperparameters, and predictions, are computed from: both are cubic in them."""
CLIP = 1.5
"""What lies this many times further beyond a rung's median than its best does is simply bad."""


@dataclass(frozen=True)
class Scale:
    """A quantity as a model sees it: logarithmic above a floor, or as it is.

    Attributes:
        zero: What the logarithm is taken from; ``None``: no logarithm.
        floor: The smallest distance from ``zero`` that is told apart.
    """

    zero: float | None = None
    floor: float = 0.0

    def forward(self, values: Array) -> Array:
        """From the quantity's own units."""
        if self.zero is None:
            return values
        logs: Array = np.log(np.maximum(values - self.zero, self.floor))
        return logs

    def backward(self, z: Array) -> Array:
        """To the quantity's own units."""
        return z if self.zero is None else self.zero + np.exp(z)


@dataclass(frozen=True)
class Series:
    """Observations of one quantity, on its scale, oldest first.

    Attributes:
        x: Descriptions ``[candidates, features]``.
        u: Settings in unit range ``[candidates, knobs]``.
        candidate: Row of ``x`` for each observation.
        rung: Rung of each observation.
        z: Values on the scale.
        trend: What growth is expected at each rung beforehand ``[rungs]``; only differences count.
    """

    x: Array
    u: Array
    candidate: Indices
    rung: Indices
    z: Array
    trend: Array

    def part(self, rows: Indices) -> Series:
        """Some of the observations, with the candidates that they are of."""
        who, candidate = np.unique(self.candidate[rows], return_inverse=True)
        rows_of = (self.x[who], self.u[who], candidate.astype(np.int64))
        return Series(*rows_of, self.rung[rows], self.z[rows], self.trend)

    def standardised(self, clip: bool) -> tuple[Observations, float, float]:
        """For the model, with the offset and the unit that were taken away.

        Args:
            clip: Bad values are winsorised rung by rung: how bad they are does not matter.
        """
        z = self.z.copy()
        for rung in np.unique(self.rung) if clip else ():
            at = self.rung == rung
            if at.sum() >= 3:
                median, best = np.median(z[at]), z[at].min()
                reach = CLIP * (median - best)
                z[at] = np.minimum(z[at], median + max(reach, 0.25 * float(z[at].std())))
        z -= self.trend[self.rung]
        counts = np.bincount(self.rung)
        fullest, lowest = int(counts.argmax()), int(self.rung.min())
        unit = float(np.std(z[self.rung == fullest])) if counts.max() >= 3 else 0.0
        unit = unit if unit > 1e-3 else (1e-3 if counts.max() >= 3 else 0.5)
        offset = float(z[self.rung == lowest].mean())
        z = (z - offset) / unit
        return Observations(self.x, self.u, self.candidate, self.rung, z), offset, unit


@dataclass(frozen=True)
class Curves:
    """The model of one quantity, in the units of its scale."""

    posterior: Posterior
    offset: float
    unit: float
    trend: Array

    def predict(self, x: Array, u: Array, rungs: Sequence[int]) -> tuple[Array, Array]:
        """Mean ``[n, k]`` and covariance ``[n, k, k]`` at ``k`` rungs, without noise."""
        mean, covariance = self.posterior.predict(x, u, rungs)
        return mean * self.unit + self.offset + self.trend[list(rungs)], covariance * self.unit**2

    def mean(self, x: Array, u: Array) -> Array:
        """Mean ``[n, rungs]``."""
        mean = self.posterior.mean(x, u, range(len(self.trend)))
        return mean * self.unit + self.offset + self.trend

    def noise(self) -> Array:
        """Variance of the noise at each rung ``[rungs]``."""
        variance: Array = self.posterior.noise * self.unit**2
        return variance


def learn(series: Series, prior: Prior, *, clip: bool) -> Curves:
    """The model of a quantity: hyperparameters from a part of the past, predictions from all.

    The part is the oldest observations, as many as :data:`GROWTH` allows: so it changes seldom.
    Each fit begins where that of fewer observations ended. Both are functions of the observations
    alone: what is remembered between calls changes no answer.
    """
    n = len(series.z)
    theta = _fitted(series, _fitting_sizes(n), prior, clip)
    if n > MOST_CONDITIONED:
        series = series.part(_representative(series, np.arange(n), MOST_CONDITIONED))
    seen, offset, unit = series.standardised(clip)
    return Curves(condition(seen, prior, theta), offset, unit, series.trend)


def _fitting_sizes(n: int) -> tuple[int, ...]:
    """After how many observations hyperparameters were fitted, up to ``n``, ascending."""
    sizes = [min(FIRST_FIT, n)]
    while True:
        growth = GROWTH if sizes[-1] < MOST_FITTED else GROWTH_LATER
        following = max(sizes[-1] + 1, int(sizes[-1] * growth))
        if following > n:
            return tuple(sizes)
        sizes.append(following)


def _representative(series: Series, rows: Indices, size: int) -> Indices:
    """Of many observations the best at the upper rungs, the newest, and an even rest."""
    upper = rows[series.rung[rows] >= len(series.trend) - 2]
    best = upper[np.argsort(series.z[upper], kind="stable")][: size // 2]
    kept = np.union1d(best, rows[-(size // 4) :])
    rest = np.setdiff1d(rows, kept)
    even = rest[np.linspace(0, len(rest) - 1, size - len(kept)).astype(np.int64)]
    return np.union1d(kept, even).astype(np.int64)


@dataclass(frozen=True)
class _Content:
    """Arguments of a fit that compare by content, so that it is done once."""

    series: Series
    sizes: tuple[int, ...]
    prior: Prior
    clip: bool
    digest: bytes

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and self.digest == other.digest


def _fitted(series: Series, sizes: tuple[int, ...], prior: Prior, clip: bool) -> Array:
    oldest = series.part(np.arange(sizes[-1], dtype=np.int64))
    arrays = (oldest.x, oldest.candidate, oldest.rung, oldest.z, oldest.u, oldest.trend)
    digest = hashlib.blake2b(bytes([clip]))
    for array in (*arrays, prior.mean, prior.sd):
        digest.update(repr(array.shape).encode() + array.tobytes())
    return _remembered(_Content(oldest, sizes, prior, clip, digest.digest()))


@lru_cache(maxsize=512)  # some fifty fits lead to the last one, for each quantity
def _remembered(content: _Content) -> Array:
    """Hyperparameters, from those that fewer of the observations gave."""
    series, fewer = content.series, content.sizes[:-1]
    start = _fitted(series, fewer, content.prior, content.clip) if fewer else None
    if len(series.z) > MOST_FITTED:
        series = series.part(_representative(series, np.arange(len(series.z)), MOST_FITTED))
    seen, _, _ = series.standardised(content.clip)
    return fit(seen, content.prior, start)

"""Scores on resamples of the examples: how a comparison of two models would vary with them.

The bootstrap of Efron and Tibshirani (An Introduction to the Bootstrap, 1993, chapter 6), within
each class, because splits are dealt class by class. The draws depend on nothing but the labels: the
same draw holds the same examples for every model, so that differences between models are paired.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWS", "packed", "resampled_scores", "resamples", "unpacked"]

DRAWS = 200
"""A probability found by so many is known to about 3 points at worst."""


def resamples(strata: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The draws: indices ``[n]`` of as many examples, drawn with replacement in each stratum.

    Args:
        strata: Of each example ``[n]``: its class, or 0 of all.
    """
    random = np.random.default_rng(0)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    for _ in range(DRAWS):
        yield np.concatenate([random.choice(part, len(part)) for part in members])


def resampled_scores(
    score: Callable[[NDArray[np.int64]], float], strata: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Scores on :func:`resamples`, float32 ``[DRAWS]``.

    Args:
        score: Of the examples of some indices, any of them several times.
        strata: See :func:`resamples`.
    """
    return np.array([score(chosen) for chosen in resamples(strata)], dtype=np.float32)


def packed(scores: NDArray[np.float32]) -> str:
    """Scores as a short text for a database, without loss."""
    return base64.b64encode(zlib.compress(scores.astype("<f4").tobytes())).decode()


def unpacked(text: str) -> NDArray[np.float64]:
    """Inverse of :func:`packed`, float64.

    Raises:
        ValueError: It was not written by it.
    """
    try:
        return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4").astype(np.float64)
    except zlib.error as error:
        raise ValueError(f"scores on resamples must be as they were packed: {error}") from error

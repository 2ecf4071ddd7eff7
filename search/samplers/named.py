"""Samplers by the names that a study file uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import optuna

from greenfront.errors import UsageError
from greenfront.search.samplers.genetic import SteadyStateSampler
from greenfront.search.samplers.untried import UntriedSampler
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import SearchSpace

__all__ = ["SamplerName", "default_population", "make_sampler"]

SamplerName = Literal["green", "nsga2", "nsga3", "tpe", "gp", "random"]


def default_population(trials: int | None) -> int:
    """Trials a generation, from the study's number of trials; ``None``: not limited."""
    return 50 if trials is None else max(8, min(50, trials // 4))


def make_sampler(
    name: str,
    space: SearchSpace[Any],
    *,
    population: int,
    seed: Sequence[int],
    tried: Callable[[Point], bool],
) -> optuna.samplers.BaseSampler:
    """The sampler of this name.

    Args:
        name: One of :data:`SamplerName`.
        space: The search space.
        population: Trials a generation, for the genetic ones.
        seed: Entropy.
        tried: Whether the candidate of a point was tried already.

    Raises:
        UsageError: The name is unknown.
    """
    number = int(np.random.default_rng(list(seed)).integers(2**31))
    genetic = partial(SteadyStateSampler, space, population_size=population, seed=seed, tried=tried)
    untried = partial(UntriedSampler, space=space, seed=seed, tried=tried)
    match name:
        case "nsga2":
            return genetic(optuna.samplers.NSGAIISampler)
        case "nsga3":
            return genetic(optuna.samplers.NSGAIIISampler)
        case "tpe":
            return untried(optuna.samplers.TPESampler(seed=number))
        case "gp":
            return untried(optuna.samplers.GPSampler(seed=number))
        case "random" | "green":  # a race decides by itself: this is for what is asked besides
            return untried(optuna.samplers.RandomSampler(seed=number))
        case _:
            raise UsageError(
                f"sampler {name!r} is unknown: take one of {', '.join(get_args(SamplerName))}"
            )

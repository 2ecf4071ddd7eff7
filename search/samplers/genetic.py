"""Genetic samplers for conditional spaces, without duplicates."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from greenfront.objectives.pareto import ranks
from greenfront.spaces.knobs import Point, Value
from greenfront.spaces.space import SearchSpace

__all__ = ["SteadyStateSampler"]

PROPOSALS = 50
"""Draws of a point before one that was tried already is accepted."""

CROSSOVER_PROBABILITY = 0.9


class SteadyStateSampler(optuna.samplers.BaseSampler):
    """NSGA-II or NSGA-III with children that respect the conditions of the space.

    Optuna's own cross only knobs that every trial has: in a conditional space most knobs (a
    family's own shape, a temperature) would stay random. Here a child takes each knob from a
    parent that has it, and draws the rest.

    Optuna's also breed only from trials that they proposed themselves, a whole generation later.
    Here the population is in a steady state: whatever has finished, proposed or queued, joins it
    at once, and Optuna's elitist selection (rank, then crowding distance or reference points)
    keeps the best. Source: Durillo et al., "On the effect of the steady-state selection scheme in
    multi-objective genetic algorithms", 2009.

    Args:
        space: The search space.
        method: Whose selection is used.
        population_size: Parents that are kept; until so many trials have finished, points are
            random.
        seed: Of the random numbers.
        tried: Whether the candidate of a point was tried already.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        method: type[optuna.samplers.NSGAIISampler] | type[optuna.samplers.NSGAIIISampler],
        *,
        population_size: int,
        seed: int | Sequence[int],
        tried: Callable[[Point], bool],
    ) -> None:
        self._random = np.random.default_rng(seed)
        optunas = method(population_size=population_size, seed=int(self._random.integers(2**31)))
        self._survivors = optunas._elite_population_selection_strategy
        self._size = population_size
        self._space = space
        self._tried = tried
        self._lock = threading.Lock()
        self._joined: set[int] = set()
        self._parents: list[optuna.trial.FrozenTrial] = []

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002 - the space is known beforehand
        trial: optuna.trial.FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """All knobs, also the conditional ones."""
        return self._space.distributions()

    def sample_relative(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,  # noqa: ARG002 - no trial is of a generation
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """A whole point: a child of two parents, or random while there are too few of them."""
        with self._lock:  # no trial joins twice
            parents = self._population(study)
        fitness = None
        if len(self._joined) >= self._size:
            signs = [
                1 if d == optuna.study.StudyDirection.MINIMIZE else -1 for d in study.directions
            ]
            fitness = ranks([np.multiply(parent.values, signs) for parent in parents])
        point: dict[str, Value] = {}
        for _ in range(PROPOSALS):
            if fitness is None:
                point = self._space.sample(self._random)
            else:
                point = self._child([parent.params for parent in parents], fitness)
            if not self._tried(point):
                break
        return point

    def sample_independent(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: optuna.trial.FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002 - that of the knob
    ) -> Any:
        """One knob that a queued point leaves open, at random."""
        return self._space.knob(param_name).sample(self._random)

    def _population(self, study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
        """The survivors of all finished trials; new ones join a population's worth at a time."""
        finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        new = [trial for trial in finished if trial.number not in self._joined]
        for some in range(0, len(new), self._size):
            pool = self._parents + new[some : some + self._size]
            self._parents = self._survivors(study, pool)
        self._joined |= {trial.number for trial in new}
        return self._parents

    def _child(self, parents: Sequence[Point], fitness: NDArray[np.int64]) -> dict[str, Value]:
        mother, father = self._select(parents, fitness), self._select(parents, fitness)
        inherited = dict(mother)
        if self._random.random() < CROSSOVER_PROBABILITY:
            # The other parent's family brings its own knobs: complete() drops what is not asked.
            for name, value in father.items():
                if name not in inherited or self._random.random() < 0.5:
                    inherited[name] = value
        child = self._space.complete(inherited, self._random)
        rate = 1 / len(child)
        mutated = {
            name: self._space.knob(name).near(value, self._random)
            if self._random.random() < rate
            else value
            for name, value in child.items()
        }
        return self._space.complete(mutated, self._random)

    def _select(self, parents: Sequence[Point], fitness: NDArray[np.int64]) -> Point:
        one, other = (int(index) for index in self._random.integers(len(parents), size=2))
        return parents[one if fitness[one] <= fitness[other] else other]

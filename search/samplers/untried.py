"""Any of Optuna's samplers, kept from proposing what was tried already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from greenfront.spaces.knobs import Knob, Point, Value
from greenfront.spaces.space import SearchSpace, on_grid

__all__ = ["UntriedSampler"]

REDRAWS = 5
"""Times that the sampler itself is asked again, before one of its proposals is changed."""

PROPOSALS = 50
"""Proposals and changes of them before one that was tried already is accepted."""


class UntriedSampler(optuna.samplers.BaseSampler):
    """Asks another sampler for whole points, until one is new.

    Some samplers answer at random, and are simply asked again. Others answer the same each time:
    then knobs of the answer are moved to near settings, one more in each attempt, so that what is
    tried stays close to what they wanted.

    Args:
        sampler: Learns from all complete trials, whoever proposed them.
        space: The search space.
        seed: Of the changes.
        tried: Whether the candidate of a point was tried already.
    """

    def __init__(
        self,
        sampler: optuna.samplers.BaseSampler,
        space: SearchSpace[Any],
        *,
        seed: int | Sequence[int],
        tried: Callable[[Point], bool],
    ) -> None:
        self._sampler = sampler
        self._space = space
        self._random = np.random.default_rng(seed)
        self._tried = tried

    def reseed_rng(self) -> None:
        """See Optuna's."""
        self._sampler.reseed_rng()

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002 - the space is known beforehand
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """All knobs, also the conditional ones."""
        return self._space.distributions()

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002 - the sampler has its own
    ) -> dict[str, Any]:
        """A whole point."""
        shared = self._sampler.infer_relative_search_space(study, trial)
        modelled = self._sampler.sample_relative(study, trial, shared)

        def answer(knob: Knob) -> Value:
            value = modelled.get(knob.name)
            if value is None:
                value = self._sampler.sample_independent(
                    study, trial, knob.name, knob.distribution()
                )
            return on_grid(knob, value)

        point: dict[str, Value] = {}
        for attempt in range(PROPOSALS):
            if attempt < REDRAWS:
                point = self._space.ask(answer)
            else:
                point = self._moved(point, attempt - REDRAWS + 1)
            if not self._tried(point):
                break
        return point

    def _moved(self, point: Point, knobs: int) -> dict[str, Value]:
        """The same with so many knobs at other, near settings."""
        names = self._random.permutation(list(point))[:knobs]
        near = {name: self._space.knob(name).near(point[name], self._random) for name in names}
        return self._space.complete({**point, **near}, self._random)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """One knob that a queued point leaves open."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """See Optuna's."""
        self._sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """See Optuna's."""
        self._sampler.after_trial(study, trial, state, values)

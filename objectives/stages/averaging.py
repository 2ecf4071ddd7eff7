"""A running mean of weights: steadier than the weights of any one step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["RunningMean"]

MEMORY_SHARE = 0.05
"""Of a training's steps, over which the mean reaches back."""


class RunningMean:
    """The exponential mean of a network's weights and buffers (Polyak and Juditsky, 1992).

    Args:
        model: Whose weights; they are taken as they are at each :meth:`update`.
        steps: Of the whole training.

    Attributes:
        updates: Steps that were counted in.
    """

    def __init__(self, model: nn.Module, steps: int) -> None:
        self._weights = [w.detach() for w in model.state_dict().values() if w.is_floating_point()]
        self._mean = [weight.clone() for weight in self._weights]
        self._most = 1 - 1 / max(1.0, MEMORY_SHARE * steps)
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Counts the weights after a step in; the first steps, which are far off, soon fade."""
        self.updates += 1
        kept = min(self._most, self.updates / (self.updates + 10))
        torch._foreach_lerp_(self._mean, self._weights, 1 - kept)

    @property
    def values(self) -> list[Tensor]:
        """The mean of each weight and buffer."""
        return self._mean

    @torch.no_grad()
    def restore(self, values: list[Tensor], updates: int) -> None:
        """Makes the mean what it was; arguments are :attr:`values` and :attr:`updates` of then."""
        for mean, value in zip(self._mean, values, strict=True):
            mean.copy_(value)
        self.updates = updates

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Lends the mean to the network while inside."""
        own = [weight.clone() for weight in self._weights]
        self._fill(self._mean)
        try:
            yield
        finally:
            self._fill(own)

    @torch.no_grad()
    def _fill(self, values: list[Tensor]) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.copy_(value)

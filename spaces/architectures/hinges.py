"""A piecewise-linear embedding of numbers. Imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Hinges"]


class Hinges(nn.Module):
    """Each number, and how far it is above each of some places, which are learnt.

    Any linear layer after it is piecewise linear in each number. The operators are a concatenation,
    a subtraction and a ReLU: next to nothing at a prediction.

    Args:
        features: Numbers of an input, standardised.
        count: Places a number; at first quantiles of the normal distribution.
    """

    def __init__(self, features: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.outputs = features * (1 + count)
        """Numbers that :meth:`forward` gives."""
        shares = (torch.arange(count) + 0.5) / count
        quantiles = torch.special.ndtri(shares)
        # One axis: it is no matrix to prune or to round.
        self.places = nn.Parameter(quantiles.repeat_interleave(features))

    def forward(self, inputs: Tensor) -> Tensor:
        """From ``[n, features]`` to ``[n, features × (1 + count)]``."""
        above = torch.relu(torch.cat([inputs] * self.count, dim=1) - self.places)
        return torch.cat([inputs, above], dim=1)

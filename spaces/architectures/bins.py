"""A piecewise-linear embedding of numbers. Imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Bins"]

NARROWEST = 1e-6
"""Bins between equal numbers are narrower, and always 0."""


class Bins(nn.Module):
    """How far each number has come in each of its bins: 0 below it, 1 above, linear between.

    The piecewise-linear encoding of Gorishniy et al. (arXiv 2203.05556). Any linear layer after it
    is piecewise linear in each number, and numbers far outside are like the outermost: it scales by
    quantiles, too. Operators are a concatenation, a subtraction, a product and a clipping.

    Args:
        features: Numbers of an input, standardised.
        count: Bins a number; at first between quantiles of the normal distribution.
    """

    low: Tensor
    slope: Tensor

    def __init__(self, features: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.outputs = features * count
        """Numbers that :meth:`forward` gives."""
        shares = torch.linspace(0.5 / count, 1 - 0.5 / count, count + 1)
        edges = torch.special.ndtri(shares)[:, None].expand(-1, features)
        # One axis each: they are no matrices to prune or to round.
        self.register_buffer("low", torch.empty(self.outputs))
        self.register_buffer("slope", torch.empty(self.outputs))
        self._set(edges)

    def fit(self, inputs: Tensor) -> None:
        """Puts the edges at the quantiles of ``[n, features]``, or at the values of few ones."""
        shares = torch.linspace(0, 1, self.count + 1, device=inputs.device)
        edges = torch.stack([_edges(column, shares) for column in inputs.T], dim=1)
        self._set(edges)

    def forward(self, inputs: Tensor) -> Tensor:
        """From ``[n, features]`` to ``[n, count × features]``."""
        repeated = torch.cat([inputs] * self.count, dim=1)
        return ((repeated - self.low) * self.slope).clamp(0.0, 1.0)

    def _set(self, edges: Tensor) -> None:
        widths = edges.diff(dim=0)
        slopes = torch.where(widths > NARROWEST, 1 / widths.clamp_min(NARROWEST), 0.0)
        self.low.copy_(edges[:-1].flatten())
        self.slope.copy_(slopes.flatten())


def _edges(column: Tensor, shares: Tensor) -> Tensor:
    values = torch.unique(column)
    if len(values) > len(shares):
        # Not torch.quantile, which takes 16 million numbers at most.
        places = (shares * (len(column) - 1)).round().long()
        return column.sort().values[places]
    return torch.cat([values, values[-1:].expand(len(shares) - len(values))])
